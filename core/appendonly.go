package core

import (
	"errors"
	"fmt"
)

// LogOn implements command.Engine: it takes the checkpoint that the log follows,
// behind the job in flight if there is one, and returns when that is committed.
// Until then clients write as before, and nothing is promised of the log. When the
// checkpoint fails the log stays off, as in Redis.
func (db *DB) LogOn() error {
	if db.Loading() {
		if !db.opts.NoLog {
			return nil // it is a part of the start
		}
		return db.giveUpLog(errors.New("the data is still being loaded"))
	}
	gaveUp, err := db.persist.SwitchOn()
	if gaveUp {
		return db.giveUpLog(err)
	}
	return err
}

// giveUpLog takes the wish for a log back that cannot be had, and says so as
// Redis does.
func (db *DB) giveUpLog(err error) error {
	_ = db.change(func(s *settings) error {
		s.appendOnly = db.persist.LogOn()
		return nil
	})
	return fmt.Errorf("Unable to turn on AOF. Check server logs. The reason: %w", err)
}
