package coretest

import (
	"context"
	"fmt"
	"testing/synctest"

	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
)

// served has another client wait with a command until one of ours serves it. What
// that does and what the served command does are two changes, in this order: a
// power loss leaves neither, the first or both, and both once the client has been
// told. Where the command would not wait, or would not be served, nothing is done.
func (p *player) served(waits, by []string) error {
	if p.w.client.InMulti || p.w.shaken {
		return nil
	}
	sess := p.m.db.Session()
	if _, err := sess.Do("SELECT", fmt.Sprint(p.w.client.DB)); err != nil {
		return err
	}
	now := p.m.now() // no time passes until our command writes
	given, taken, err := p.service(now, waits, by)
	if err != nil || given == nil {
		return err
	}
	ctx, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	var told resp.Value
	done := make(chan struct{})
	go func() {
		defer close(done)
		told, _ = sess.DoContext(ctx, waits...) // given up: it has changed nothing
	}()
	synctest.Wait() // until it is blocked
	p.commands += 2
	p.serves++
	got, err := p.m.do(by)
	if err != nil || isRefusal(got) || p.disk.isDead() {
		giveUp()
	}
	<-done
	if err != nil {
		return err
	}
	both := []model.Outcome{*given, *taken}
	dead, clean := false, given.Reply.Matches(got) && taken.Reply.Matches(told)
	p.disk.with(func() {
		if dead = p.disk.dead; dead {
			return
		}
		p.w.shaken = p.w.shaken || p.disk.struck > 0
		if clean {
			p.w.executed(both, now)
		}
	})
	switch {
	case dead:
		return p.after(both)
	case clean:
		return p.after(nil)
	case !p.w.shaken:
		return fmt.Errorf("%q got %s and %q got %s; the model says %s and %s", waits, told, by, got, taken.Reply, given.Reply)
	}
	there, now, err := p.m.look()
	if p.disk.isDead() {
		return p.after(both)
	}
	if err != nil {
		return err
	}
	for n := range 3 {
		if n > 0 {
			p.w.history.Add(both[n-1].State, now)
		}
		if there.Text(now) == p.w.history.Now().Text(now) {
			return p.after(nil)
		}
	}
	return fmt.Errorf("%q got %s and %q got %s, and the state is none that this can lead to:\n%s",
		waits, told, by, got, model.Diff(there, taken.State, now))
}

// service is how by ends while waits is waited for, and how that ends then. They
// are nil where there is no waiting, or no service.
func (p *player) service(now int64, waits, by []string) (given, taken *model.Outcome, err error) {
	other := model.Client{DB: p.w.client.DB}
	before := p.w.history.Now()
	early, err := other.Run(before, now, waits)
	if err != nil || !early[0].Reply.IsNull() {
		return nil, nil, err
	}
	first, err := p.w.client.Run(before, now, by)
	if err != nil || first[0].Reply.IsError() {
		return nil, nil, err
	}
	then, err := other.Run(first[0].State, now, waits)
	if err != nil || then[0].Reply.IsNull() || then[0].Reply.IsError() {
		return nil, nil, err
	}
	return &first[0], &then[0], nil
}
