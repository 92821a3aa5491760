package main

import (
	"fmt"
	"io"

	"github.com/weftstore/weft/store"
)

func printStatus(w io.Writer, st *store.Status) {
	fmt.Fprintf(w, "layout %s, survives the loss of %d targets; redundancy %s\n\n", st.Layout, st.Survives, st.Redundancy)
	t := table(w)
	fmt.Fprintln(t, "TARGET\tSTATE\tFREE\tOF\tLIVE\tDEAD\tCHUNKS")
	for _, x := range st.Targets {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", x.Name, x.State, size(x.Free), size(x.Total), size(x.Live), size(x.Dead), x.Chunks)
	}
	t.Flush()
	for _, x := range st.Targets {
		if x.Error != "" {
			fmt.Fprintf(w, "\n%s: %s\n", x.Name, x.Error)
		}
	}
	fmt.Fprintf(w, "\n%d parts wait for repair, %d chunk sets for deletion\n", st.DamagedSets, st.GarbageSets)
	if !st.LastSnapshot.IsZero() {
		fmt.Fprintf(w, "last metadata snapshot %s\n", st.LastSnapshot.Format("2006-01-02 15:04:05 MST"))
	}
	if !st.LastScrub.IsZero() {
		fmt.Fprintf(w, "last scrub %s\n", st.LastScrub.Format("2006-01-02 15:04:05 MST"))
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
	fmt.Fprintf(w, "%s: %d parts with %d shards: %d missing, %d unreachable, %d corrupt, %d crowded\n",
		verdict, r.Parts, r.Shards, r.Missing, r.Unreachable, r.Corrupt, r.Crowded)
	fmt.Fprintf(w, "%d chunks on the targets, %d of them orphans (%s), %d chunk sets wait for deletion\n",
		r.Chunks, r.Orphans, size(r.OrphanBytes), r.Garbage)
	printProblems(w, r.Problems)
}

func printProblems(w io.Writer, list []string) {
	for _, p := range list {
		fmt.Fprintln(w, " ", p)
	}
}
