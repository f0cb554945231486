package apply

import (
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/wal"
)

const (
	// batchSize is how many commands a lane is given at once. The shard is
	// locked while it applies them.
	batchSize = 256
	// batchesAhead is how many of them may wait for a lane.
	batchesAhead = 8
	// prefetchSize is how many commands' keys are looked up ahead.
	prefetchSize = 32
)

// lane is one shard's share of the work. Its goroutine applies batches; while
// there are none in flight the caller of the Applier may.
type lane struct {
	shard   *keyspace.Shard
	index   int // of the shard
	next    batch
	batches chan batch
	spare   chan batch     // applied ones, for their memory
	flying  sync.WaitGroup // batches that were sent and are not applied yet
	ended   chan struct{}

	executor
	failed bool // nothing is applied behind what cannot be
	keys   [][]byte
}

// task is a command to be applied.
type task struct {
	wal.Cmd
	cmd *command.Command
}

// batch is commands in their order, and where they come from.
type batch struct {
	tasks []task
	from  []stretch
}

// stretch is a batch's commands from an index on.
type stretch struct {
	index int
	Origin
}

func (b *batch) add(t *task, from *Origin) {
	if n := len(b.from); n == 0 || b.from[n-1].Origin != *from {
		b.from = append(b.from, stretch{len(b.tasks), *from})
	}
	b.tasks = append(b.tasks, *t)
}

// origin tells where the command at index i comes from.
func (b *batch) origin(i int) Origin {
	n, _ := slices.BinarySearchFunc(b.from, i+1, func(s stretch, i int) int { return s.index - i })
	return b.from[n-1].Origin
}

// reset empties b and keeps its memory, but not the commands'.
func (b *batch) reset() {
	clear(b.tasks)
	clear(b.from)
	b.tasks, b.from = b.tasks[:0], b.from[:0]
}

func newLane(ks *keyspace.Keyspace, index int) *lane {
	return &lane{
		shard: ks.Shard(index), index: index, executor: newExecutor(ks),
		batches: make(chan batch, batchesAhead), spare: make(chan batch, batchesAhead+1), ended: make(chan struct{}),
	}
}

// send hands over what is to be applied next.
func (l *lane) send() {
	if len(l.next.tasks) == 0 {
		return
	}
	l.flying.Add(1)
	l.batches <- l.next
	select {
	case l.next = <-l.spare:
	default:
		l.next = batch{tasks: make([]task, 0, batchSize)}
	}
}

// run applies what is sent until there is no more to come.
func (l *lane) run(fail func(error)) {
	defer close(l.ended)
	for b := range l.batches {
		l.shard.Lock()
		err := l.apply(&b)
		l.shard.Unlock()
		if err != nil {
			fail(err)
		}
		b.reset()
		select {
		case l.spare <- b:
		default:
		}
		l.flying.Done()
	}
}

// apply applies a batch. The shard is locked.
func (l *lane) apply(b *batch) error {
	if l.failed {
		return nil
	}
	for i := range b.tasks {
		if i%prefetchSize == 0 {
			l.prefetch(b.tasks[i:min(i+prefetchSize, len(b.tasks))])
		}
		if err := l.execute(&b.tasks[i], l.index); err != nil {
			l.failed = true
			at := b.origin(i)
			return at.refuse(err)
		}
	}
	return nil
}

// prefetch brings what a few commands, usually of one database, will look up
// into the processor's cache.
func (l *lane) prefetch(tasks []task) {
	l.keys = l.keys[:0]
	for i := range tasks {
		if args := tasks[i].Args; len(args) > 1 {
			l.keys = append(l.keys, args[1])
		}
	}
	l.shard.DB(tasks[0].DB).Prefetch(l.keys)
}
