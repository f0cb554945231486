//go:build linux && disk

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These tests mount real filesystems and break them. They need root, and run
// by `make lab`.

// disk is a mounted filesystem of its own.
type disk struct {
	t        *testing.T
	fs       string
	img, mnt string
}

// newDisk makes and mounts a filesystem: ext4 or xfs on a loop device, or tmpfs.
func newDisk(t *testing.T, fs string, mib int) *disk {
	t.Helper()
	dir := t.TempDir()
	k := &disk{t: t, fs: fs, mnt: filepath.Join(dir, "mnt")}
	if err := os.Mkdir(k.mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	if fs == "tmpfs" {
		k.run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=700", mib), "none", k.mnt)
	} else {
		k.img = filepath.Join(dir, "disk.img")
		k.run("truncate", "-s", fmt.Sprintf("%dM", mib), k.img)
		k.run("mkfs."+fs, "-q", k.img)
		k.mount()
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", k.mnt).Run() })
	return k
}

func (k *disk) run(args ...string) {
	k.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		k.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func (k *disk) mount() { k.t.Helper(); k.run("mount", "-o", "loop", k.img, k.mnt) }

// powerOff stops all writing at once, as a power loss does: nothing that the
// kernel still holds reaches the disk, the filesystem's journal included. Only
// the processes live on, and an fsync that is under way meanwhile may tell them
// of success although its data is gone (Linux 6.18, ext4 and xfs): what is
// acknowledged from here on nobody would have heard.
func (k *disk) powerOff() {
	k.t.Helper()
	const (
		fsIocShutdown = 0x8004587d // FS_IOC_SHUTDOWN, _IOR('X', 125, __u32)
		noLogFlush    = 2          // drop the journal's memory, too
	)
	f, err := os.Open(k.mnt)
	if err != nil {
		k.t.Fatal(err)
	}
	defer f.Close()
	how := uint32(noLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fsIocShutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		k.t.Fatalf("shutting %s down: %v", k.fs, errno)
	}
}

// powerOn mounts what is on the disk.
func (k *disk) powerOn() {
	k.t.Helper()
	k.run("umount", k.mnt)
	k.mount()
}

func diskRounds() int {
	if n, err := strconv.Atoi(os.Getenv("SPILLWAY_ROUNDS")); err == nil {
		return n
	}
	return 5
}

// TestDiskPowerLoss is TestKillRounds with the power, not the process, going:
// what was acknowledged is on the disk, through a real filesystem and its
// journal.
func TestDiskPowerLoss(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 2))
			k := newDisk(t, fs, 384)
			state := make([]acked, 6)
			for round := range diskRounds() {
				d := startDaemon(t, k.mnt, "--appendfsync", "always", "--shards", strconv.Itoa(1+round%4), "--save", "")
				verify(t, d, state, round)
				dark := make(chan struct{})
				end := d.load(state, seed+uint64(round), dark)
				time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond)
				close(dark)
				k.powerOff()
				d.kill()
				end()
				k.powerOn()
			}
			d := startDaemon(t, k.mnt, "--appendfsync", "always", "--save", "")
			verify(t, d, state, -1)
			d.stop()
			for w := range state {
				if state[w].counter == 0 {
					t.Errorf("writer %d never got a write acknowledged: the test shows nothing", w)
				}
			}
		})
	}
}

// TestDiskPowerOffLoses shows that powerOff takes away what was not synced:
// without it the tests above could not fail.
func TestDiskPowerOffLoses(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			k := newDisk(t, fs, 384)
			d := startDaemon(t, k.mnt, "--appendfsync", "no", "--save", "")
			for i := range 1000 {
				d.do("SET", fmt.Sprint("key:", i), i)
			}
			k.powerOff()
			d.kill()
			k.powerOn()
			d = startDaemon(t, k.mnt, "--appendfsync", "no", "--save", "")
			if got := d.do("DBSIZE"); got == int64(1000) {
				t.Errorf("all %v keys survived although nothing was synced", got)
			}
			d.stop()
		})
	}
}

// load runs writers and checkpoints until the daemon refuses or is gone, the
// writers no longer than until stop is closed.
func (d *daemon) load(state []acked, seed uint64, stop <-chan struct{}) (wait func()) {
	var wg sync.WaitGroup
	for w := range state {
		wg.Add(1)
		go func() { defer wg.Done(); write(d.rdb, w, &state[w], stop) }()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		checkpoints(d, rand.New(rand.NewPCG(seed, 3)))
	}()
	return wg.Wait
}

// TestDiskFull fills a real filesystem under writers: writes are refused, reads
// go on, nothing acknowledged is lost, whether the daemon lives to see the
// space come back or is killed before.
func TestDiskFull(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			k := newDisk(t, "tmpfs", 32)
			flags := []string{"--appendfsync", "always", "--save", "", "--shards", "3"}
			d := startDaemon(t, k.mnt, flags...)
			state := make([]acked, 4)
			ctx := context.Background()
			filler, n := strings.Repeat("x", 100_000), 0
			var refused error
			for ; refused == nil && n < 2000; n++ {
				refused = d.rdb.Set(ctx, fmt.Sprint("filler:", n), filler, 0).Err()
				if n == 100 {
					end := d.load(state, 1, nil)
					defer end()
				}
			}
			n-- // the last one was refused
			if refused == nil || !strings.HasPrefix(refused.Error(), "MISCONF") && !strings.HasPrefix(refused.Error(), "NOTDURABLE") {
				t.Fatalf("a full disk was answered with %v", refused)
			}
			if got := d.info("aof_last_write_status"); got != "err" {
				t.Errorf("aof_last_write_status is %s", got)
			}
			if err := d.rdb.Get(ctx, "filler:0").Err(); err != nil {
				t.Errorf("reads do not go on: %v", err)
			}
			if killed {
				d.kill()
			}
			k.run("mount", "-o", "remount,size=256m", k.mnt)
			if killed {
				d = startDaemon(t, k.mnt, flags...)
			} else {
				d.waitFor("persistence to be re-established", func() bool { return d.info("aof_last_write_status") == "ok" })
			}
			d.do("SET", "after", "1")
			verify(t, d, state, 0)
			for i := range n {
				if got, err := d.rdb.Get(ctx, fmt.Sprint("filler:", i)).Result(); err != nil || got != filler {
					t.Fatalf("filler:%d, acknowledged, has %d bytes: %v", i, len(got), err)
				}
			}
			d.kill()
			d = startDaemon(t, k.mnt, flags...)
			verify(t, d, state, 1)
			if got := d.do("GET", "after"); got != "1" {
				t.Errorf("what was written after the disk was full is %v", got)
			}
			d.stop()
		})
	}
}

// TestDiskFullSave: a checkpoint that does not fit fails, says so, leaves
// nothing behind and hurts nothing.
func TestDiskFullSave(t *testing.T) {
	k := newDisk(t, "tmpfs", 24)
	d := startDaemon(t, k.mnt, "--appendonly", "no", "--save", "")
	ctx := context.Background()
	d.do("SET", "first", "1")
	d.do("SAVE")
	for i := range 600 {
		noise := make([]byte, 50_000)
		for j := range noise {
			noise[j] = byte(rand.Uint32())
		}
		if err := d.rdb.Set(ctx, fmt.Sprint("noise:", i), noise, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	err := d.rdb.Save(ctx).Err()
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("SAVE on a full disk: %v", err)
	}
	if got := d.info("rdb_last_bgsave_status"); got != "err" {
		t.Errorf("rdb_last_bgsave_status is %s", got)
	}
	sets, err := filepath.Glob(filepath.Join(k.mnt, "checkpoints", "*"))
	if err != nil || len(sets) != 1 {
		t.Errorf("the failed checkpoint left something behind: %v, %v", sets, err)
	}
	d.kill()
	d = startDaemon(t, k.mnt, "--appendonly", "no", "--save", "")
	if got := d.do("GET", "first"); got != "1" {
		t.Errorf("the previous checkpoint has first = %v", got)
	}
	k.run("mount", "-o", "remount,size=256m", k.mnt)
	d.do("SET", "second", "2")
	d.do("SAVE")
	d.stop()
}

// TestDiskReadOnly: on a filesystem mounted read-only the daemon does not
// start, says why, and starts again when it can be written.
func TestDiskReadOnly(t *testing.T) {
	k := newDisk(t, "ext4", 128)
	d := startDaemon(t, k.mnt, "--save", "")
	d.do("SET", "a", "1")
	d.stop()
	k.run("mount", "-o", "remount,ro", k.mnt)
	d = launch(t, "--dir", k.mnt)
	d.wantExit(1)
	if got := d.log.String(); !strings.Contains(got, "read-only file system") {
		t.Errorf("the daemon does not say why it ended:\n%s", got)
	}
	k.run("mount", "-o", "remount,rw", k.mnt)
	d = startDaemon(t, k.mnt, "--save", "")
	if got := d.do("GET", "a"); got != "1" {
		t.Errorf("a is %v", got)
	}
	d.stop()
}
