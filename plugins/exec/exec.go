package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// Name is the name by which the plugin offers the stage.
const Name = "exec"

// Options configure the stage.
type Options struct {
	// Encode and Decode are programs with their arguments: one undoes the
	// other.
	Encode []string `json:"encode"`
	Decode []string `json:"decode"`
	// Suffix is appended to file names, as in ".gpg"; it may be empty.
	Suffix string `json:"suffix,omitempty"`
}

type stage struct{ opts Options }

var _ sink.Stage = (*stage)(nil)

// New returns the stage. Both programs have to be there.
func New(opts Options) (sink.Stage, error) {
	for _, c := range []struct {
		name string
		argv []string
	}{{"encode", opts.Encode}, {"decode", opts.Decode}} {
		if len(c.argv) == 0 {
			return nil, sink.BadOption(c.name, fmt.Errorf("exec: %s is missing; want a program and its arguments, as in %s = [\"gzip\", \"-c\"]", c.name, c.name))
		}
		if _, err := exec.LookPath(c.argv[0]); err != nil {
			return nil, sink.BadOption(c.name, fmt.Errorf("exec: %s: %w", c.name, err))
		}
	}
	if opts.Suffix != "" && sink.CheckName("part"+opts.Suffix) != nil {
		return nil, sink.BadOption("suffix", fmt.Errorf("exec: suffix %q cannot be part of a file name", opts.Suffix))
	}
	return &stage{opts}, nil
}

// Info implements sink.Stage.
func (s *stage) Info() sink.Info {
	return sink.Info{Name: Name, Version: "1", Suffix: s.opts.Suffix}
}

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	return nil, pipe(ctx, s.opts.Encode, dst, src)
}

// Decode implements sink.Stage.
func (s *stage) Decode(ctx context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	return pipe(ctx, s.opts.Decode, dst, src)
}

// process is one run of a program.
type process struct {
	cmd     *exec.Cmd
	in, out *os.File // our ends of its stdin and stdout
	left    *os.File // a second reader of its stdin: what it did not read
	stderr  tail
	fed     atomic.Bool // all of src went into its stdin

	once sync.Once
	end  chan struct{} // closed with the first failure
	err  error         // valid when end is closed
}

// pipe runs a program from src to dst.
func pipe(ctx context.Context, argv []string, dst io.Writer, src io.Reader) error {
	p := &process{end: make(chan struct{})}
	waited := make(chan error, 1)
	started := make(chan error)
	go p.run(argv, started, waited)
	if err := <-started; err != nil {
		return fmt.Errorf("exec: start %s: %w", argv[0], err)
	}
	defer context.AfterFunc(ctx, func() { p.fail(context.Cause(ctx)) })()
	var flows sync.WaitGroup
	flows.Go(func() { p.feed(src) })
	flows.Go(func() { p.drain(dst) })

	err := <-waited
	unread := p.unread()
	_ = p.left.Close() // a feeder that waits gets an error
	switch {
	case err != nil:
		p.fail(fmt.Errorf("exec: %s: %w%s", argv[0], err, p.stderr.clause()))
	case unread:
		p.fail(sink.Permanent(fmt.Errorf("exec: %s exited with status 0 before it had read its input to the end%s", argv[0], p.stderr.clause())))
	}
	flows.Wait()
	_ = p.in.Close()
	_ = p.out.Close()
	select {
	case <-p.end:
		return p.err
	default:
		return nil
	}
}

// run starts the program and waits for it, on a thread that stays: where the
// kernel ends the program with its parent, the parent is this thread.
func (p *process) run(argv []string, started, waited chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	var theirs []*os.File
	err := func() error {
		in, w, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs = append(theirs, in)
		p.left, p.in = in, w
		r, out, err := os.Pipe()
		if err != nil {
			return err
		}
		p.out = r
		theirs = append(theirs, out)
		p.cmd = exec.Command(argv[0], argv[1:]...)
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, &p.stderr
		p.cmd.WaitDelay = time.Second // of stderr: what the program started may hold it open
		p.cmd.Env = environment()
		p.cmd.SysProcAttr = attributes()
		if err := p.cmd.Start(); err != nil {
			return err
		}
		return out.Close()
	}()
	if err != nil {
		for _, f := range append(theirs, p.in, p.out) {
			if f != nil {
				_ = f.Close()
			}
		}
		started <- err
		return
	}
	started <- nil
	err = p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	waited <- err
}

// environment is this process's, without what makes it a plugin.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PLUGIN_") && !strings.HasPrefix(kv, "SPILLWAY_") {
			env = append(env, kv)
		}
	}
	return env
}

// fail records the first failure and ends the program.
func (p *process) fail(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.end)
		kill(p.cmd.Process)
		_ = p.in.Close()
		_ = p.out.Close()
	})
}

// feed carries src into the program's stdin. Only the end of src closes it: a
// program that met an early end would finish what looks complete.
func (p *process) feed(src io.Reader) {
	buf := make([]byte, copySize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := p.in.Write(buf[:n]); err != nil {
				return // it reads no more: unread says so, or its status
			}
		}
		if err == io.EOF {
			p.fed.Store(true)
			_ = p.in.Close()
			return
		}
		if err != nil {
			p.fail(err)
			return
		}
	}
}

const copySize = 128 << 10

// drain carries the program's stdout into dst.
func (p *process) drain(dst io.Writer) {
	buf := make([]byte, copySize)
	for {
		n, err := p.out.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				p.fail(err)
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			p.fail(fmt.Errorf("exec: reading the output: %w", err))
			return
		}
	}
}

// unread tells whether the program, which has ended, left some of its input.
func (p *process) unread() bool {
	if !p.fed.Load() {
		return true
	}
	n, _ := p.left.Read(make([]byte, 1)) // nobody writes any more: it does not wait
	return n > 0
}

// tail keeps the end of what a program writes to stderr.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 1 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(b), nil
}

// clause is what the program said, for an error; nothing if it said nothing.
func (t *tail) clause() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := strings.TrimSpace(strings.ToValidUTF8(string(t.b), "?")); s != "" {
		return ": " + s
	}
	return ""
}
