package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/follow"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/wal"
)

// errReadOnlyReplica is Redis's reply to a write while another server is followed.
const errReadOnlyReplica = "READONLY You can't write against a read only replica."

// The reasons why a start does not follow, or does not go on without.
var (
	// ErrFollows is returned by Recover for a directory that follows another server,
	// when Options.Follow does not say whether it is to go on.
	ErrFollows = errors.New("the data directory follows another server and was not cut over")
	// ErrHasData is returned by Recover for a directory with data of its own, which
	// those of the server to follow would replace.
	ErrHasData = errors.New("the data directory has data of its own, which those of the server to follow would replace")
)

// Follow has an engine take over the data of a running Redis or Valkey, and what that
// executes from then on, until it is promoted (REPLICAOF NO ONE).
type Follow struct {
	// Source is the server. Its Clock is the engine's to set.
	Source follow.Source
	// Promote ends what an earlier start began, with the data as they are. Source
	// is not asked for.
	Promote bool
	// Writable lets clients write meanwhile, on their own account: nothing keeps
	// what they write apart from what the source sends.
	Writable bool
}

// following is an engine that follows another server.
type following struct {
	db       *DB
	opts     Follow
	follower *follow.Follower
	applier  *session.Follower
	cancel   context.CancelFunc
	done     chan struct{} // closed when nothing is applied any more
	syncing  atomic.Bool   // the keyspace holds a part of a dataset
	promote  sync.Mutex
}

// startFollowing goes on with what the directory and the options say, before clients
// are served.
func (db *DB) startFollowing() error {
	at, o := db.ks.Following(), db.opts.Follow
	switch {
	case at.Ended() && (o == nil || o.Promote):
		return nil
	case at.State == keyspace.FollowDone:
		db.logger.Warn("the data directory was cut over: the server that it came from is not followed any more", "from", at.From, "offset", at.Offset)
		return nil
	case o == nil:
		return fmt.Errorf("%w (%s at %s, offset %d)", ErrFollows, at.State, at.From, at.Offset)
	case o.Promote:
		return db.promoteAtStart(at)
	case at.State == keyspace.FollowNothing && (db.holdsData()):
		return ErrHasData
	}
	f := &following{db: db, opts: *o, applier: db.runtime.NewFollower(), done: make(chan struct{})}
	f.opts.Source.Clock = SystemClock{} // of the network, whatever clock the engine has
	f.syncing.Store(at.State != keyspace.FollowStream && at.State != keyspace.FollowBroken)
	f.follower = follow.New(f.opts.Source, f, db.logger.Named("follow"))
	db.runtime.Follows(true)
	db.following.Store(f)
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() {
		defer close(f.done)
		_ = f.follower.Run(ctx) // it has logged why it gave up, and its status says so
	}()
	return nil
}

// holdsData tells whether there is anything in the keyspace.
func (db *DB) holdsData() bool {
	db.ks.LockAll()
	defer db.ks.UnlockAll()
	for i := range db.ks.NumShards() {
		for n := range db.ks.NumDatabases() {
			if db.ks.Shard(i).DB(n).Len() > 0 {
				return true
			}
		}
	}
	return len(db.ks.Libraries()) > 0
}

// promoteAtStart makes a directory its own master.
func (db *DB) promoteAtStart(at keyspace.Following) error {
	if err := promotable(at); err != nil {
		return err
	}
	applier := db.runtime.NewFollower()
	defer applier.Close()
	at.State = keyspace.FollowDone
	if err := applier.Apply(nil, at); err != nil {
		return err
	}
	if !applier.Sync() {
		return errors.New("the end of what was followed could not be kept")
	}
	db.logger.Info("cut over: this server is its own master", "from", at.From, "offset", at.Offset)
	return nil
}

// promotable refuses data that are not what the followed server ever held.
func promotable(at keyspace.Following) error {
	switch at.State {
	case keyspace.FollowStream, keyspace.FollowDone:
		return nil
	case keyspace.FollowBroken:
		return fmt.Errorf("the data are not those of %s: a command of it did not apply. Its dataset has to be taken over again", at.From)
	default:
		return fmt.Errorf("the dataset of %s is not here yet, or not all of it", at.From)
	}
}

// Following implements follow.Target.
func (f *following) Following() keyspace.Following { return f.db.ks.Following() }

// Databases implements follow.Target.
func (f *following) Databases() int { return f.db.ks.NumDatabases() }

// Apply implements follow.Target.
func (f *following) Apply(cmds []wal.Cmd, at keyspace.Following) error {
	if msg := f.db.persist.RefusesWrites(); msg != "" {
		return errors.New(msg)
	}
	if at.State == keyspace.FollowSyncing {
		f.syncing.Store(true) // before anything of it can be seen
	}
	err := f.applier.Apply(cmds, at)
	if now := f.db.ks.Following(); now.State != keyspace.FollowSyncing {
		f.syncing.Store(false)
	}
	var never *session.NotApplicableError
	if errors.As(err, &never) {
		return &follow.StopError{Err: err}
	}
	return err
}

// Durable implements follow.Target.
func (f *following) Durable() int64 { return f.applier.Durable() }

// Sync implements follow.Target.
func (f *following) Sync() bool { return f.applier.Sync() }

// stop ends the following. What has come whole is applied first.
func (f *following) stop() {
	f.cancel()
	<-f.done
	f.applier.Close()
}

// Promote implements command.Engine: the data are this server's own from its return
// on, for good. What the master has sent and nobody has read yet is not waited for.
func (a admin) Promote() error {
	f := a.following.Load()
	if f == nil {
		return nil
	}
	f.promote.Lock()
	defer f.promote.Unlock()
	if a.following.Load() == nil {
		return nil
	}
	if err := promotable(a.ks.Following()); err != nil {
		return fmt.Errorf("ERR %w", err)
	}
	f.cancel()
	<-f.done
	at := a.ks.Following()
	err := promotable(at)
	if err == nil {
		at.State = keyspace.FollowDone
		err = f.applier.Apply(nil, at)
	}
	if err == nil && !f.applier.Sync() {
		err = errors.New("the log does not take it")
	}
	if err != nil {
		return fmt.Errorf("ERR nothing is followed any more, but the end of that could not be kept: %w", err)
	}
	a.runtime.Follows(false)
	a.following.Store(nil)
	f.applier.Close()
	a.logger.Info("cut over: this server is its own master", "from", at.From, "offset", at.Offset)
	return nil
}

// Replica implements command.Engine.
func (a admin) Replica() *command.Replica { return a.DB.Replica() }

// Replica tells how an engine gets on that follows another server, nil for one that
// does not.
func (db *DB) Replica() *command.Replica {
	f := db.following.Load()
	if f == nil {
		return nil
	}
	s := f.follower.Status()
	host, port, _ := net.SplitHostPort(f.opts.Source.Address)
	r := &command.Replica{
		Host: host, Port: port, State: string(s.State), Offset: s.Offset, ID: s.ID, Heard: s.Heard, Down: s.Down,
		Syncing: s.State == follow.Syncing, Total: s.Total, Received: s.Received, Links: s.Links, Waiting: s.Waiting, ReadOnly: !f.opts.Writable,
	}
	if s.Err != nil {
		r.Err = s.Err.Error()
	}
	return r
}

// replicaRefuses is the reply to a write of a client's while another server is followed.
func (db *DB) replicaRefuses() string {
	if f := db.following.Load(); f != nil && !f.opts.Writable {
		return errReadOnlyReplica
	}
	return ""
}

// takingOver tells whether the keyspace holds a part of another server's dataset.
func (db *DB) takingOver() bool {
	f := db.following.Load()
	return f != nil && f.syncing.Load()
}
