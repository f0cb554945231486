package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// throughput runs the workloads, each with a load that is as large for all servers: as
// much as takes the slowest of them about as long as is wanted.
func (b *bench) throughput() error {
	for _, w := range workloads() {
		if w.long && b.quick || !b.chosen.MatchString(w.name) {
			continue
		}
		if w.clients > b.clients {
			b.report.skip("throughput", w.name, fmt.Sprintf("--max-clients is %d", b.clients))
			continue
		}
		if need := uint64(w.clients + spareClients); need > b.pins.Files {
			b.report.skip("throughput", w.name, fmt.Sprintf("it needs %d open files, and this process may have %d (ulimit -n)", need, b.pins.Files))
			continue
		}
		b.progress("throughput: %s", w.name)
		done := b.report.begin()
		if err := b.workload(w); err != nil {
			b.report.undo(done)
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func (b *bench) workload(w workload) error {
	keys := b.keyspace
	if w.keys > 0 {
		keys = min(keys, w.keys)
	}
	o := options{scenario: "throughput", appendOnly: "no", fsync: "everysec", pinned: true, tls: w.tls, clients: w.clients}
	if w.appendOnly != "" {
		o.appendOnly, o.fsync = "yes", w.appendOnly
	}
	return b.with(o, func(f fleet) error {
		n := 0
		if b.ops > 0 {
			n = w.few(b.ops)
		}
		for i := range f {
			err := f.turn(i, func(s *server) error {
				if w.once != nil {
					if err := s.feed(keys, w.once); err != nil {
						return err
					}
				}
				if b.ops > 0 {
					return nil
				}
				few := w.few(tryOps)
				if err := s.prepare(w, few); err != nil {
					return err
				}
				m, err := s.run(w, keys, few)
				if would := int(m.perSecond * b.seconds); n == 0 || would < n {
					n = would
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if b.ops == 0 {
			n = max(n, w.few(tryOps))
		}
		return f.rounds(b.rounds, func(s *server) error {
			if err := s.prepare(w, n); err != nil {
				return err
			}
			return s.measure(w, keys, n)
		})
	})
}

// tryOps is how many operations tell how fast a server is, about: see few.
const tryOps = 2_000

// few is so many operations times the pipeline, or as many as move 64 MiB, and at
// least one pipeline of every client.
func (w workload) few(ops int) int {
	const bytes = 64 << 20
	return max(w.clients*w.pipeline, min(ops*w.pipeline, bytes/w.size))
}

// prepare makes what every round of a workload finds.
func (s *server) prepare(w workload, n int) error {
	if w.each == nil {
		return nil
	}
	if err := s.rdb.FlushAll(s.ctx).Err(); err != nil {
		return err
	}
	if err := s.feed(n+2*w.clients*w.pipeline, w.each); err != nil {
		return err
	}
	if w.group == "" {
		return nil
	}
	return s.rdb.XGroupCreate(s.ctx, w.group, "group", "0").Err()
}

// measure runs a load beside a prober and notes what came of it.
func (s *server) measure(w workload, keys, n int) error {
	p, err := s.probe("prb:", 1000)
	if err != nil {
		return err
	}
	before, err := s.info()
	if err != nil {
		return errors.Join(err, p.end())
	}
	var wrote, wroteThen float64
	disk := w.appendOnly != "" && s.bench.report.Machine.OnDisk
	if disk {
		wrote, err = s.written()
	}
	var m ran
	if err == nil {
		m, err = s.run(w, keys, n)
	}
	if disk && err == nil {
		wroteThen, err = s.written()
	}
	if err = errors.Join(err, p.end()); err != nil {
		return err
	}
	after, err := s.info()
	if err != nil {
		return err
	}
	if err := plausible(before, after, n); err != nil {
		return err
	}
	took, err := p.around(m.began, m.ended)
	if err != nil {
		return err
	}
	resident, err := s.rss()
	if err != nil {
		return err
	}
	note := func(metric, unit string, more bool, value float64) {
		s.bench.report.add(figure{Scenario: "throughput", Workload: w.name, Metric: metric, Unit: unit, More: more}, s.name, value)
	}
	all := float64(n + len(took)) // the prober's requests are the server's work too
	note("operations a second", "op/s", true, m.perSecond)
	note("CPU of the server per operation", "µs", false, float64(m.cpu.all.Nanoseconds())/1000/all)
	note(inKernel, "µs", false, float64(m.cpu.kernel.Nanoseconds())/1000/all)
	note("p50", "ms", false, took.quantile(0.5))
	note("p99", "ms", false, took.quantile(0.99))
	note("p99.9", "ms", false, took.quantile(0.999))
	note("longest", "ms", false, took.quantile(1))
	note("resident", "MB", false, resident/1e6)
	if disk {
		note("written to disk per operation", "B", false, (wroteThen-wrote)/all)
	}
	note(loadShare, "%", false, m.busy*100)
	return nil
}

// plausible refuses a round in which the server counted fewer commands than were
// sent, or errors.
func plausible(before, after map[string]string, n int) error {
	const commands, failed = "total_commands_processed", "total_error_replies"
	if had := count(before, commands); had >= 0 {
		if did := count(after, commands) - had; did < float64(n) {
			return fmt.Errorf("it counted %.0f commands, and %d were sent", did, n)
		}
	}
	if count(after, failed) > count(before, failed) {
		return fmt.Errorf("it replied with errors: %s went from %s to %s", failed, before[failed], after[failed])
	}
	return nil
}

// ran is what came of a load.
type ran struct {
	perSecond    float64
	cpu          spent   // by the server
	busy         float64 // share of its processor that the load used
	began, ended time.Time
}

// run runs a load of n operations, with redis-benchmark or, what that cannot do, with
// generate.
func (s *server) run(w workload, keys, n int) (ran, error) {
	if w.load == nil {
		return s.runMixed(w, keys, n)
	}
	args := []string{"redis-benchmark", "-c", strconv.Itoa(w.clients), "-d", strconv.Itoa(w.size),
		"-r", strconv.Itoa(keys), "-n", strconv.Itoa(n), "-P", strconv.Itoa(w.pipeline), "--csv"}
	if w.tls {
		args = append(args, "--tls", "--cacert", s.bench.cert.file, "-p", s.tlsPort)
	} else {
		args = append(args, "-p", s.port)
	}
	var said, complaint bytes.Buffer
	cmd := s.load(s.ctx, append(args, w.load...)...)
	cmd.Stdout, cmd.Stderr = &said, &complaint
	var m ran
	before, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.began = time.Now()
	if err := cmd.Run(); err != nil {
		return m, fmt.Errorf("redis-benchmark: %w: %s", err, strings.TrimSpace(complaint.String()+lastLine(said.String())))
	}
	m.ended = time.Now()
	after, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.cpu = after.since(before)
	m.busy = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / m.ended.Sub(m.began).Seconds()
	rows, err := csv.NewReader(&said).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) < 2 {
		return m, fmt.Errorf("redis-benchmark's table is %q: %w", rows, err)
	}
	if m.perSecond, err = strconv.ParseFloat(rows[1][1], 64); err == nil && (math.IsInf(m.perSecond, 0) || m.perSecond <= 0) {
		err = fmt.Errorf("%d operations took no time that redis-benchmark can tell: it takes more of them", n)
	}
	return m, err
}

// load is a command on the load's processor that ends with ctx.
func (s *server) load(ctx context.Context, args ...string) *exec.Cmd {
	args = append(s.bench.pins.loadCommand(), args...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// runMixed runs generate, which says when it has all its connections and then waits to
// be told to begin.
func (s *server) runMixed(w workload, keys, n int) (m ran, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	cmd := s.load(s.ctx, self, "generate", "--addr", s.addr(), "--clients", strconv.Itoa(w.clients), "--pipeline", strconv.Itoa(w.pipeline),
		"--keys", strconv.Itoa(keys), "--size", strconv.Itoa(w.size), "--reads", strconv.Itoa(w.reads), "--ops", strconv.Itoa(n))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		return m, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, err
	}
	defer func() {
		_ = in.Close() // generate ends then
		if e := cmd.Wait(); err != nil || e != nil {
			err = fmt.Errorf("generate: %w: %s", errors.Join(err, e), strings.TrimSpace(complaint.String()))
		}
	}()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != connected {
		return m, fmt.Errorf("it said %q: %w", line, err)
	}
	before, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.began = time.Now()
	if _, err := in.Write([]byte("\n")); err != nil {
		return m, err
	}
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return m, err
	}
	m.ended = time.Now()
	after, err := s.cpu()
	if err != nil {
		return m, err
	}
	var did generated
	if err := json.Unmarshal(line, &did); err != nil {
		return m, err
	}
	m.cpu, m.busy, m.perSecond = after.since(before), did.CPU/did.Seconds, float64(n)/did.Seconds
	return m, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
