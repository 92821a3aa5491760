package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/identity"
)

func printAccounts(w io.Writer, all *[]identity.Account) {
	t := table(w)
	fmt.Fprintln(t, "ACCOUNT\tNAME\tCREATED\tROOT KEYS\tWEIGHT\tREQUESTS/S\tBYTES/S")
	for _, a := range *all {
		weight := a.Weight
		if weight == 0 {
			weight = 1
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%g\t%s\t%s\n", a.ID, a.Name, a.Created.Format(time.DateOnly), len(a.Keys), weight, bound(a.Limits.Requests), bound(a.Limits.Bandwidth))
	}
	t.Flush()
}

func bound(v float64) string {
	if v == 0 {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func printUsers(w io.Writer, v *identity.View) {
	t := table(w)
	fmt.Fprintln(t, "USER\tCREATED\tKEYS\tGROUPS\tPOLICIES")
	for _, u := range v.Users {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", u.Name, u.Created.Format(time.DateOnly), len(u.Keys), strings.Join(u.Groups, ","), strings.Join(u.Policies, ","))
	}
	t.Flush()
}

func printGroups(w io.Writer, v *identity.View) {
	t := table(w)
	fmt.Fprintln(t, "GROUP\tCREATED\tPOLICIES")
	for _, g := range v.Groups {
		fmt.Fprintf(t, "%s\t%s\t%s\n", g.Name, g.Created.Format(time.DateOnly), strings.Join(g.Policies, ","))
	}
	t.Flush()
}

func printPolicies(w io.Writer, v *identity.View) {
	for _, p := range v.Policies {
		fmt.Fprintf(w, "%s, changed %s\n%s\n\n", p.Name, p.Updated.Format(time.DateTime), strings.TrimSpace(p.Document))
	}
}

func printKeys(w io.Writer, keys *[]identity.Key) {
	t := table(w)
	fmt.Fprintln(t, "KEY\tSTATE\tCREATED\tEXPIRES\tLIMITED\tFOR")
	for _, k := range *keys {
		expires := "never"
		if !k.Expires.IsZero() {
			expires = k.Expires.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%t\t%s\n", k.ID, k.State(time.Now()), k.Created.Format(time.DateOnly), expires, k.Policy != "", k.Description)
	}
	t.Flush()
}
