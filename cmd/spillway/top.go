package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// What a terminal is told.
const (
	screenOther = "\x1b[?1049h\x1b[?25l" // show another screen, without a cursor
	screenBack  = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineRest    = "\x1b[K" // clear what is behind
	screenRest  = "\x1b[J" // and below
)

func topCommand() *cobra.Command {
	var o statusTool
	var interval time.Duration
	var times int
	cmd := &cobra.Command{
		Use: "top", Short: "Follow live how the running daemon stands", Args: noArgs,
		Long: "top shows what status shows, again and again; q or Ctrl-C ends it. Where the output is no terminal, it\n" +
			"writes a line an interval.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval <= 0 {
				return usageError{errors.New("--interval is a time of more than 0")}
			}
			defer interruptible(cmd)()
			cfg, err := o.config(cmd)
			if err != nil {
				return err
			}
			t := &top{statusTool: o, cfg: cfg, out: cmd.OutOrStdout(), interval: interval, times: times}
			if f, ok := t.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && term.IsTerminal(int(os.Stdin.Fd())) {
				return t.screen(cmd.Context(), f)
			}
			return t.lines(cmd.Context())
		},
	}
	o.register(cmd)
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "time between two looks")
	cmd.Flags().IntVar(&times, "count", 0, "look so often, then end; 0 goes on")
	return cmd
}

// top looks at a daemon again and again.
type top struct {
	statusTool
	cfg      *config.Config
	out      io.Writer
	interval time.Duration
	times    int // 0: without end
}

// each calls look once an interval, until it fails or the context ends.
func (t *top) each(ctx context.Context, look func() error) error {
	ticks := time.NewTicker(t.interval)
	defer ticks.Stop()
	for i := 1; ; i++ {
		if err := look(); err != nil && ctx.Err() == nil {
			return err
		}
		if i == t.times {
			return nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// lines writes a line for each look.
func (t *top) lines(ctx context.Context) error {
	return t.each(ctx, func() error {
		r, err := t.ask(ctx, t.cfg)
		if err == nil {
			_, err = fmt.Fprintln(t.out, r.Line())
		}
		return err
	})
}

// screen shows each look in the place of the one before. A daemon that does not answer
// is said to be so, and asked again: it may be starting.
func (t *top) screen(ctx context.Context, f *os.File) (err error) {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go untilQuit(os.Stdin, cancel)
	fmt.Fprint(f, screenOther)
	defer func() {
		fmt.Fprint(f, screenBack)
		err = errors.Join(err, term.Restore(int(os.Stdin.Fd()), before))
	}()
	return t.each(ctx, func() error {
		var text bytes.Buffer
		r, err := t.ask(ctx, t.cfg)
		if err != nil {
			fmt.Fprintf(&text, "%s\n", err)
		} else if err := r.Text(&text); err != nil {
			return err
		}
		text.WriteString("\nq ends it\n")
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			width, height = 80, 24 // it does not say
		}
		_, err = io.WriteString(f, screenful(text.String(), width, height))
		return err
	})
}

// screenful is text as a terminal of that size shows it from its first line on.
func screenful(text string, width, height int) string {
	var b strings.Builder
	b.WriteString(screenHome)
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines[:min(len(lines), max(1, height))] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if r := []rune(l); len(r) > width {
			l = string(r[:width])
		}
		b.WriteString(l + lineRest)
	}
	b.WriteString(screenRest)
	return b.String()
}

// untilQuit calls quit at q and at Ctrl-C, which a terminal in raw mode hands on, and
// at the end of input.
func untilQuit(in io.Reader, quit func()) {
	defer quit()
	for b := make([]byte, 1); ; {
		if n, err := in.Read(b); err != nil || n == 1 && strings.ContainsRune("qQ\x03\x04", rune(b[0])) {
			return
		}
	}
}
