package sink

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// StageFactory makes a stage when bytes that went through it are read.
type StageFactory func() (Stage, error)

// Registry finds stages by name, so that sets can be read that were written
// with other stages than the ones configured today. It is safe for concurrent
// use; a nil *Registry knows no stage.
type Registry struct {
	mu sync.Mutex
	m  map[string]StageFactory
}

// NewRegistry returns a registry that knows the given stages by their names.
func NewRegistry(stages ...Stage) *Registry {
	r := &Registry{m: make(map[string]StageFactory)}
	for _, s := range stages {
		r.Register(s.Info().Name, func() (Stage, error) { return s, nil })
	}
	return r
}

// Register makes name known; a later call for the same name wins. The stage is
// made at its first use and kept.
func (r *Registry) Register(name string, f StageFactory) {
	var mu sync.Mutex
	var made Stage
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m[name] = func() (Stage, error) {
		mu.Lock()
		defer mu.Unlock()
		if made == nil {
			s, err := f()
			if err != nil {
				return nil, err
			}
			made = s
		}
		return made, nil
	}
}

// Stage returns the stage of that name; an unknown one is an error that wraps
// ErrUnknownStage and names those that are known.
func (r *Registry) Stage(name string) (Stage, error) {
	var f StageFactory
	if r != nil {
		r.mu.Lock()
		f = r.m[name]
		r.mu.Unlock()
	}
	if f == nil {
		return nil, Permanent(fmt.Errorf("%w %q (known: %s)", ErrUnknownStage, name, strings.Join(r.Names(), ", ")))
	}
	s, err := f()
	if err != nil {
		return nil, fmt.Errorf("make stage %q: %w", name, err)
	}
	return s, nil
}

// Names returns the known names in order.
func (r *Registry) Names() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.m))
	for n := range r.m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
