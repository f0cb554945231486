package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/backup"
)

// progressEvery is how often somebody who has no terminal is told.
const progressEvery = 5 * time.Second

// watch shows p on stderr until the result is called: a bar with an estimate
// on a terminal, a line now and then otherwise, nothing when quiet.
func watch(what string, p *backup.Progress, quiet bool) (stop func()) {
	if quiet {
		return func() {}
	}
	tell, every := sentences(what, p), progressEvery
	end := func() {}
	if isatty.IsTerminal(os.Stderr.Fd()) {
		tell, end = bar(what, p)
		every = 100 * time.Millisecond
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				tell()
			case <-done:
				end()
				return
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() { close(done) })
		<-gone
	}
}

func bar(what string, p *backup.Progress) (tell, end func()) {
	total := func() int64 {
		if n := p.Total.Load(); n > 0 {
			return n
		}
		return -1 // a spinner: nobody knows
	}
	b := progressbar.NewOptions64(total(), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionShowTotalBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	tell = func() {
		done, n := p.Done.Load(), total()
		if n > 0 {
			done = min(done, n)
		}
		b.ChangeMax64(n)
		_ = b.Set64(done)
	}
	return tell, func() { _ = b.Finish() }
}

// sentences tells how far p is and how long the rest takes at that rate.
func sentences(what string, p *backup.Progress) func() {
	began := time.Now()
	return func() {
		done, total := p.Done.Load(), p.Total.Load()
		if total <= 0 { // nobody knows
			fmt.Fprintf(os.Stderr, "%s: %s\n", what, size(done))
			return
		}
		left := "?"
		if done > 0 {
			left = (time.Since(began) * time.Duration(max(total-done, 0)) / time.Duration(done)).Round(time.Second).String()
		}
		fmt.Fprintf(os.Stderr, "%s: %s of %s (%d%%), %s left\n", what, size(done), size(total), min(100*done/total, 100), left)
	}
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// count is a number of things in English: "1 block", "2 blocks".
func count[N int | int64](n N, what string) string { return english.Plural(int(n), what, "") }

// interruptible gives a tool's command a context that a signal ends.
func interruptible(cmd *cobra.Command) (stop func()) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	cmd.SetContext(ctx)
	return stop
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
