package core

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/wal"
)

// settings are the parameters that the engine reads while it serves, as one
// immutable value: a command reads them with a single atomic load. What each is,
// and what else there is, is declared in params.go.
type settings struct {
	appendOnly       bool // wanted; persist.Persister.LogOn tells whether it is on
	fsync            wal.Policy
	save             []SavePoint
	rewritePct       int
	rewriteMin       int64
	stopOnSaveError  bool
	maxMemory        int64
	maxMemoryPolicy  string
	lfuLogFactor     int
	lfuDecayTime     int
	maxMemorySamples int
	requirePass      string
	busyThreshold    int64 // milliseconds
	deprecatedLua    bool
}

// initParams puts every parameter to what the options say and registers it with
// CONFIG.
func (db *DB) initParams() error {
	s := new(settings)
	for i := range params {
		p := &params[i]
		if p.Fixed {
			continue
		}
		at := p.part
		if p.setting != nil {
			at = func(*DB) param.Var { return p.setting(s) }
		}
		given := db.opts.Var(p.Name)
		v, err := p.Type.Parse(given.String())
		if err == nil {
			err = at(db).Set(v)
		}
		if err != nil {
			return fmt.Errorf("%s %q: want %s", p.Name, given, p.Type.Want())
		}
	}
	db.settings.Store(s)
	for i := range params {
		p := &params[i]
		if p.applied != nil {
			p.applied(db, s)
		}
		db.config.Register(&p.Param, p.live(db))
	}
	db.keepParams()
	return nil
}

// live is where CONFIG finds a parameter.
func (p *parameter) live(db *DB) param.Var {
	switch {
	case p.part != nil:
		return p.part(db)
	case p.HCL == "":
		return param.Const(p.Default)
	case p.setting == nil:
		return db.opts.Var(p.Name)
	}
	return param.Func{
		Get: func() string {
			if p.shown != nil {
				return p.shown(db, db.settings.Load())
			}
			return p.setting(db.settings.Load()).String()
		},
		Put: func(text string) error {
			err := db.change(func(s *settings) error {
				if err := p.setting(s).Set(text); err != nil {
					return err
				}
				if p.allow != nil {
					return p.allow(db, s)
				}
				return nil
			})
			if err == nil && p.applied != nil {
				p.applied(db, db.settings.Load())
			}
			return err
		},
	}
}

// change swaps in settings that f has altered.
func (db *DB) change(f func(*settings) error) error {
	db.setMu.Lock()
	defer db.setMu.Unlock()
	s := *db.settings.Load()
	if err := f(&s); err != nil {
		return err
	}
	db.settings.Store(&s)
	return nil
}

// options is the table of parameters as those see it who read or fill in Options.
var options = param.NewTable(params,
	func(p *parameter) param.Option[Options] {
		return param.Option[Options]{Param: &p.Param, Field: p.option}
	},
	func(o *Options) *param.Values { return &o.values })

// Params are the parameters of the engine, in the order of documentation.
func Params() []*param.Param { return options.Params() }

// Var is where the options keep the parameter that CONFIG knows by a name, for
// those that read options as text. It is nil for one that options do not have.
func (o *Options) Var(name string) param.Var { return options.Var(o, name) }
