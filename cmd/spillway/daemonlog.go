package main

import (
	"io"
	"os"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/mattn/go-isatty"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// daemonLog is a logger whose level and format can be changed while it is used. A
// logger of hclog has one format for its life, so this one writes nothing itself: its
// lines go to an adapter that is replaced.
type daemonLog struct {
	hclog.InterceptLogger
	out *logOutput
	is  atomic.Pointer[config.Log] // what it has become
}

// logOutput writes the lines of a logger.
type logOutput struct {
	now atomic.Pointer[hclog.SinkAdapter]
}

// Accept implements hclog.SinkAdapter.
func (o *logOutput) Accept(name string, level hclog.Level, msg string, args ...any) {
	(*o.now.Load()).Accept(name, level, msg, args...)
}

func newDaemonLog(l config.Log) *daemonLog {
	d := &daemonLog{
		InterceptLogger: hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "spillway", Level: hclog.LevelFromString(l.Level), Output: io.Discard}),
		out:             new(logOutput),
	}
	d.become(l)
	d.RegisterSink(d.out)
	return d
}

// become changes level and format.
func (d *daemonLog) become(l config.Log) {
	o := logOptions(l)
	o.Name = "" // the lines have it
	out := hclog.NewSinkAdapter(o)
	d.is.Store(&l)
	d.SetLevel(o.Level)
	d.out.now.Store(&out)
}

// newLogger is the logger of a tool.
func newLogger(l config.Log) hclog.InterceptLogger { return hclog.NewInterceptLogger(logOptions(l)) }

func logOptions(l config.Log) *hclog.LoggerOptions {
	color := hclog.ColorOff
	if !l.JSON && isatty.IsTerminal(os.Stderr.Fd()) {
		color = hclog.ForceColor
	}
	return &hclog.LoggerOptions{
		Name: "spillway", Level: hclog.LevelFromString(l.Level), JSONFormat: l.JSON, Color: color, Output: os.Stderr,
	}
}
