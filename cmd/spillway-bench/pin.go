package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pins are the processors of a run. Without a second one nothing is pinned.
type pins struct {
	Pinned bool `json:"pinned"`
	Server int  `json:"server_cpu"`
	Load   int  `json:"load_cpu"`
	Prober int  `json:"prober_cpu"`
	// SameCore is whether server and load share a core, as two threads of it.
	SameCore bool `json:"same_core"`
	// Files is how many files a process may have open.
	Files uint64 `json:"open_files"`

	all []int // that this process may use
}

// choosePins chooses, moves this process, which has the prober, out of the way of the
// servers, and raises the limit of open files as far as it may, for children too.
func choosePins() (pins, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return pins{}, err
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	p := choose(all, func(cpu int) string {
		siblings, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			return strconv.Itoa(cpu) // a machine that does not tell has no threads of cores
		}
		return strings.TrimSpace(string(siblings))
	})
	p.Files = raiseFiles()
	if !p.Pinned {
		return p, nil
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return p, fmt.Errorf("taskset, of util-linux, pins the servers: %w", err)
	}
	return p, moveTo(p.Prober)
}

// choose picks the processors: of different cores if there are such. core names the
// core of a processor.
func choose(all []int, core func(cpu int) string) pins {
	p := pins{all: all}
	if len(all) < 2 {
		return p
	}
	p.Pinned, p.Server, p.Load, p.SameCore = true, all[0], all[1], true
	for _, cpu := range all[1:] {
		if core(cpu) != core(p.Server) {
			p.Load, p.SameCore = cpu, false
			break
		}
	}
	p.Prober = p.Load
	for _, cpu := range all[1:] {
		if c := core(cpu); c != core(p.Server) && c != core(p.Load) {
			p.Prober = cpu
			break
		}
	}
	return p
}

// moveTo pins every thread of this process to a processor, and thereby those to come.
func moveTo(cpu int) error {
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, t := range threads {
		id, err := strconv.Atoi(filepath.Base(t))
		if err == nil {
			err = unix.SchedSetaffinity(id, &set)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// raiseFiles has this process and its children open as many files as they may.
func raiseFiles() uint64 {
	const plenty = 1 << 16
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	if l.Max < plenty && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: plenty, Max: plenty}) == nil {
		return plenty
	}
	l.Cur = l.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // said explicitly, for then children inherit it
	return l.Cur
}

// serverCommand is what a server's command line begins with: it moves the server to
// its processor, or to all of them.
func (p pins) serverCommand(one bool) []string {
	if !p.Pinned {
		return nil
	}
	cpus := make([]string, len(p.all))
	for i, cpu := range p.all {
		cpus[i] = strconv.Itoa(cpu)
	}
	if one {
		cpus = []string{strconv.Itoa(p.Server)}
	}
	return []string{"taskset", "-c", strings.Join(cpus, ",")}
}

// loadCommand is what a load's begins with. A load stands back behind the prober,
// which must not wait for it where they share a processor.
func (p pins) loadCommand() []string {
	args := []string{"nice", "-n", "15"}
	if p.Pinned {
		args = append([]string{"taskset", "-c", strconv.Itoa(p.Load)}, args...)
	}
	return args
}

// String says where everything runs.
func (p pins) String() string {
	if !p.Pinned {
		return "There is one processor: servers, load and prober share it."
	}
	s := fmt.Sprintf("Servers on CPU %d, load on CPU %d", p.Server, p.Load)
	if p.Prober == p.Load {
		s += ", which the prober shares"
	} else {
		s += fmt.Sprintf(", prober on CPU %d", p.Prober)
	}
	s += "."
	if p.SameCore {
		s += " Both are threads of one core."
	}
	return s
}
