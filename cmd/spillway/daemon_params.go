package main

import (
	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/param"
)

// redisLevels are the levels that loglevel knows, and shownLevels what it shows of those
// that the log has.
var (
	redisLevels = param.OneOf{"debug", "verbose", "notice", "warning"}
	shownLevels = map[string]string{"trace": "debug", "debug": "debug", "info": "notice", "warn": "warning", "error": "warning"}
)

// daemonParams registers the parameters of Redis that are the daemon's, which neither the
// engine nor the server knows: where its data is, and how much its log says.
func daemonParams(db *core.DB, cfg *config.Config, log *daemonLog) {
	c := db.Admin().Config()
	c.Register(&param.Param{Name: "dir", Type: param.Text{}, Fixed: true, Protected: true}, param.Const(dataDirectory(cfg)))
	said := "" // guarded by the lock of the table
	c.Register(&param.Param{Name: "loglevel", Type: redisLevels}, param.Func{
		Get: func() string {
			level := log.is.Load().Level
			if logLevels[said] == level {
				return said
			}
			return shownLevels[level]
		},
		Put: func(text string) error {
			said = text
			to := *log.is.Load()
			to.Level = logLevels[text]
			log.become(to)
			return nil
		},
	})
}
