package session

import (
	"sync"
	"sync/atomic"
)

// errNoReplicas is Redis's.
const errNoReplicas = "NOREPLICAS Not enough good replicas to write."

// replicas are what min-replicas-to-write and min-replicas-max-lag ask for. The
// engine has no replicas: while both are above zero there are too few of them.
type replicas struct {
	mu             sync.Mutex // held by whoever changes one
	toWrite, inLag atomic.Int64
}

// MinReplicas is how many replicas there must be for a write to be carried out.
func (rt *Runtime) MinReplicas() int64 { return rt.replicas.toWrite.Load() }

// SetMinReplicas changes it. Any goroutine.
func (rt *Runtime) SetMinReplicas(n int64) { rt.demandReplicas(&rt.replicas.toWrite, n) }

// ReplicasMaxLag is how many seconds behind a replica may be that MinReplicas counts;
// 0 switches MinReplicas off.
func (rt *Runtime) ReplicasMaxLag() int64 { return rt.replicas.inLag.Load() }

// SetReplicasMaxLag changes it. Any goroutine.
func (rt *Runtime) SetReplicasMaxLag(n int64) { rt.demandReplicas(&rt.replicas.inLag, n) }

func (rt *Runtime) demandReplicas(which *atomic.Int64, n int64) {
	r := &rt.replicas
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.demanded()
	which.Store(n)
	switch now := r.demanded(); {
	case now && !before:
		rt.conditions.add(tooFewReplicas, 1)
	case before && !now:
		rt.conditions.add(tooFewReplicas, -1)
	}
}

func (r *replicas) demanded() bool { return r.toWrite.Load() > 0 && r.inLag.Load() > 0 }

// refusesWrites is the error reply to a client's write that must not be carried out, ""
// while writes are.
func (rt *Runtime) refusesWrites() string {
	if msg := rt.RefusesWrites(); msg != "" {
		return msg
	}
	if rt.conditions.load()&tooFewReplicas != 0 {
		return errNoReplicas
	}
	return ""
}
