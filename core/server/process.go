package server

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
)

// Linux tells in /proc what a process takes of the machine. Elsewhere these are 0.

// residentBytes is how much memory of the machine the process has.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if f := strings.Fields(string(b)); err == nil && len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64) // digits, as Linux writes it
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// machineBytes is how much memory the machine has.
func machineBytes() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if f := strings.Fields(string(b)); err == nil && len(f) > 1 && f[0] == "MemTotal:" {
		kilobytes, _ := strconv.ParseInt(f[1], 10, 64) // digits, as Linux writes it
		return kilobytes << 10
	}
	return 0
}

// machineName is the system, its release and the kind of machine, as uname says them.
func machineName() string {
	system, err := os.ReadFile("/proc/sys/kernel/ostype")
	release, err2 := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil || err2 != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	machine, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}[runtime.GOARCH]
	if !ok {
		machine = runtime.GOARCH
	}
	return strings.TrimSpace(string(system)) + " " + strings.TrimSpace(string(release)) + " " + machine
}

// goMemory is what Go's heap holds in objects, and what of the machine Go has not
// given back.
func goMemory() (objects, held int64) {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()), int64(s[1].Value.Uint64() - s[2].Value.Uint64())
}
