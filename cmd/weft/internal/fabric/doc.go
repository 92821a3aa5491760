// Package fabric looks at the RDMA devices of a host and says what is wrong with
// them, each with the command or the setting that mends it: what `weft fabric
// devices` prints.
//
// Look gathers facts from sysfs, /dev and /proc below a root that tests replace,
// and opens nothing but the character devices. Diagnose is a function of these
// facts alone. Neither changes anything. ReadCounters reads what the devices
// count, the proof of which way bytes went.
//
// It does not use the RDMA libraries: it must work where they are missing.
//
// Rails and Mismatches compare two hosts.
//
// Main types: Source, Host, Device, Port, Problem, Rail, Counters.
package fabric
