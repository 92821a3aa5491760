package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/store"
)

func printStatus(w io.Writer, st *gateway.Status) {
	fmt.Fprintf(w, "layout %s, survives the loss of %d targets; redundancy %s\n\n", st.Layout, st.Survives, st.Redundancy)
	printFabric(w, st.Fabric)
	printMetadata(w, st.Metadata)
	printMembers(w, st.Members)
	printNodes(w, st.Nodes)
	printTargets(w, st.Targets)
	fmt.Fprintf(w, "\n%d parts wait for repair, %d chunk sets for deletion\n", st.DamagedSets, st.GarbageSets)
	if !st.LastSnapshot.IsZero() {
		fmt.Fprintf(w, "last metadata snapshot %s\n", st.LastSnapshot.Format("2006-01-02 15:04:05 MST"))
	}
	if !st.LastScrub.IsZero() {
		fmt.Fprintf(w, "last scrub %s\n", st.LastScrub.Format("2006-01-02 15:04:05 MST"))
	}
}

func printNodeStatus(w io.Writer, st *storagenode.Status) {
	fmt.Fprintf(w, "storage node %s of deployment %s, serving at %s\n\n", st.Node, st.Deployment, st.Listen)
	printFabric(w, st.Fabric)
	printTargets(w, st.Targets)
}

func printFabric(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(w, "fabric %s\n", l)
	}
	if len(lines) > 0 {
		fmt.Fprintln(w)
	}
}

// printMetadata names the etcd clusters when there are several, or one that is away.
func printMetadata(w io.Writer, clusters []gateway.MetadataState) {
	for _, c := range clusters {
		switch {
		case c.Error != "":
			fmt.Fprintf(w, "metadata cluster %s does not answer: %s\n\n", c.Name, c.Error)
		case len(clusters) > 1:
			fmt.Fprintf(w, "metadata cluster %s answers; new buckets: %s\n\n", c.Name, cmp.Or(strings.Join(c.Buckets, " "), "all others"))
		}
	}
}

// printMembers lists the processes that are registered in etcd.
func printMembers(w io.Writer, list []member.Peer) {
	if len(list) == 0 {
		return
	}
	t := table(w)
	fmt.Fprintln(t, "REGISTERED\tNAME\tHOST\tADDRESS\tSTARTED\tLEADS")
	for _, p := range list {
		leads := ""
		if p.Leads {
			leads = "leads"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Kind, p.Name, p.Host, p.Address, p.Started.Format("2006-01-02 15:04:05"), leads)
	}
	t.Flush()
	fmt.Fprintln(w)
}

func printNodes(w io.Writer, nodes []gateway.NodeState) {
	if len(nodes) == 0 {
		return
	}
	t := table(w)
	fmt.Fprintln(t, "NODE\tSTATE\tSINCE\tDOMAIN\tTARGETS\tADDRESS")
	for _, n := range nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", n.Name, n.State, n.Since.Format("2006-01-02 15:04:05"), n.Domain, n.Targets, n.Address)
	}
	t.Flush()
	for _, n := range nodes {
		if n.Error != "" {
			fmt.Fprintf(w, "\n%s: %s\n", n.Name, n.Error)
		}
		printProblems(w, n.Refused)
	}
	fmt.Fprintln(w)
}

func printTargets(w io.Writer, targets []store.TargetState) {
	t := table(w)
	fmt.Fprintln(t, "TARGET\tSTATE\tFREE\tOF\tLIVE\tDEAD\tCHUNKS")
	for _, x := range targets {
		if x.Draining {
			x.State += ", draining"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", x.Name, x.State, size(x.Free), size(x.Total), size(x.Live), size(x.Dead), x.Chunks)
	}
	t.Flush()
	for _, x := range targets {
		if x.Error != "" {
			fmt.Fprintf(w, "\n%s: %s\n", x.Name, x.Error)
		}
	}
}

func printUsage(w io.Writer, u *store.UsageReport) {
	t := table(w)
	fmt.Fprintln(t, "BUCKET\tOBJECTS\tVERSIONS\tMARKERS\tUPLOADS\tBYTES")
	row := func(name string, b store.BucketUsage) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", name, b.Objects, b.Versions, b.Markers, b.Uploads, size(b.Bytes))
	}
	for _, b := range u.Buckets {
		row(b.Bucket, b)
	}
	row("total", u.Total)
	t.Flush()
}

func printRepair(w io.Writer, r *store.RepairResult) {
	fmt.Fprintf(w, "looked at %d parts: rebuilt %d shards of %d parts, %s written; collected %d orphans\n",
		r.Parts, r.Shards, r.Repaired, size(r.Bytes), r.Orphans)
	if r.Waiting > 0 {
		fmt.Fprintf(w, "%d parts wait for a target\n", r.Waiting)
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "%d parts could not be repaired, %d of them have too few shards left\n", r.Failed, r.Lost)
	}
	printProblems(w, r.Problems)
}

func printCheck(w io.Writer, r *store.CheckResult) {
	verdict := "clean"
	if !r.Clean() {
		verdict = "PROBLEMS"
	}
	fmt.Fprintf(w, "%s: %d parts with %d shards: %d missing, %d unreachable, %d corrupt, %d crowded, %d misplaced\n",
		verdict, r.Parts, r.Shards, r.Missing, r.Unreachable, r.Corrupt, r.Crowded, r.Misplaced)
	fmt.Fprintf(w, "%d chunks on the targets, %d of them orphans (%s), %d chunk sets wait for deletion\n",
		r.Chunks, r.Orphans, size(r.OrphanBytes), r.Garbage)
	printProblems(w, r.Problems)
}

func printProblems(w io.Writer, list []string) {
	for _, p := range list {
		fmt.Fprintln(w, " ", p)
	}
}

func printRepairStatus(w io.Writer, st *store.RepairStatus) {
	waiting := int64(0)
	for i := len(st.Waiting) - 1; i >= 0; i-- { // in the order of repair
		if waiting += st.Waiting[i]; st.Waiting[i] > 0 {
			fmt.Fprintf(w, "%d parts have lost %d shards\n", st.Waiting[i], i+1)
		}
	}
	switch {
	case st.Running:
		fmt.Fprintf(w, "repairing since %s: %d of %d parts, %s written, %s/s, about %s left\n", st.Began.Format("2006-01-02 15:04:05 MST"),
			st.Done, st.Total, size(st.Bytes), size(int64(st.Rate)), st.Left.Round(time.Second))
	case waiting > 0:
		fmt.Fprintln(w, "no repair runs at the moment; there is a round every few seconds")
	default:
		fmt.Fprintln(w, "nothing waits for repair")
	}
}
