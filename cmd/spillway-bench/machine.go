package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where a report was made.
type machine struct {
	CPU        string  `json:"cpu"`
	CPUs       int     `json:"cpus"`
	Memory     float64 `json:"memory_bytes"`
	System     string  `json:"system"`
	Kernel     string  `json:"kernel"`
	Virtual    bool    `json:"virtual"`
	HugePages  string  `json:"transparent_huge_pages,omitempty"`
	Filesystem string  `json:"filesystem"` // of the servers' data
	// OnDisk is whether what servers write there can be seen to go to a disk.
	OnDisk    bool   `json:"on_disk"`
	LoadTool  string `json:"load_tool"` // redis-benchmark's version
	GoVersion string `json:"go_version"`
}

// thisMachine looks around. What a machine does not tell is left empty.
func thisMachine(dir string) machine {
	m := machine{GoVersion: runtime.Version(), CPUs: runtime.NumCPU()}
	cpu := read("/proc/cpuinfo")
	m.CPU = after(cpu, "model name")
	m.Virtual = strings.Contains(cpu, " hypervisor")
	if kb, err := field(read("/proc/meminfo"), "MemTotal"); err == nil {
		m.Memory = kb * 1024
	}
	for line := range strings.Lines(read("/etc/os-release")) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			m.System = strings.Trim(v, `"`)
		}
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	for _, word := range strings.Fields(read("/sys/kernel/mm/transparent_hugepage/enabled")) {
		if strings.HasPrefix(word, "[") {
			m.HugePages = strings.Trim(word, "[]")
		}
	}
	m.Filesystem, m.OnDisk = filesystem(dir)
	if out, err := exec.Command("redis-benchmark", "--version").Output(); err == nil {
		m.LoadTool = strings.TrimSpace(string(out))
	}
	return m
}

// filesystem names the one of a directory. Memory filesystems write nothing.
func filesystem(dir string) (name string, disk bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return "", false
	}
	switch uint32(s.Type) { // its type is another on other architectures
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return "tmpfs", false
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", true
	case unix.XFS_SUPER_MAGIC:
		return "xfs", true
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", true
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", true
	}
	return "0x" + strconv.FormatUint(uint64(uint32(s.Type)), 16), true
}

func read(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}

// after is what stands behind the first "name:" of lines.
func after(text, name string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// work is what the machine has done until a moment, and what of it was ours.
type work struct {
	at        time.Time
	all, ours time.Duration
}

// workSoFar counts the time of processors that were not idle, what a hypervisor took
// included, and that of this process and of its children that have ended.
func workSoFar() (work, error) {
	w := work{at: time.Now()}
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return w, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		const idle, iowait, guest = 3, 4, 8 // guest, and what follows, is in user already
		if i == idle || i == iowait || i >= guest {
			continue
		}
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return w, err
		}
		w.all += time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on Linux
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			return w, err
		}
		w.ours += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return w, nil
}

// others is the share of all processors that something else used since before.
func (w work) others(before work) float64 {
	theirs := (w.all - before.all) - (w.ours - before.ours)
	return max(0, theirs.Seconds()/w.at.Sub(before.at).Seconds()/float64(runtime.NumCPU()))
}
