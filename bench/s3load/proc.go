package s3load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of CPU times in /proc/PID/stat: USER_HZ, 100 on every Linux port (proc(5)).
const clockTick = time.Second / 100

// cpuTime sums user and system time of the processes, all threads, dead ones too (proc(5): utime and
// stime of /proc/PID/stat are the thread group's). Resolution 10 ms a process.
func cpuTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("read cpu time: %w", err)
		}
		t, err := parseStat(b)
		if err != nil {
			return 0, fmt.Errorf("cpu time of %d: %w", pid, err)
		}
		sum += t
	}
	return sum, nil
}

// parseStat returns utime + stime, fields 14 and 15. The command name, field 2, may hold anything, so
// counting starts behind its last parenthesis.
func parseStat(b []byte) (time.Duration, error) {
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("malformed /proc stat %.40q", b)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("malformed /proc stat %.40q", b)
	}
	return time.Duration(user+system) * clockTick, nil
}

// resetPeak makes the kernel forget the peak memory of the processes so far (proc(5), clear_refs 5). It
// tells whether that was allowed for all; without it the peak is that of the process's life.
func resetPeak(pids []int) bool {
	ok := true
	for _, pid := range pids {
		if os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) != nil {
			ok = false
		}
	}
	return ok
}

// peakRSS sums the peak resident memory of the processes in bytes; 0 when it cannot be read.
func peakRSS(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
				if err != nil {
					return 0
				}
				sum += kb << 10
			}
		}
	}
	return sum
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readEnvironment describes this machine.
func readEnvironment() Environment {
	e := Environment{}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				e.CPU = strings.TrimSpace(v)
				e.Cores++
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			kb, _ := strconv.ParseInt(f[1], 10, 64) // 0 where the format differs: unknown
			e.MemoryBytes = kb << 10
		}
	}
	return e
}
