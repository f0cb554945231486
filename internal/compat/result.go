package main

import (
	"context"
	"slices"
	"sync"
)

// result is what a unit came to, over all of its runs.
type result struct {
	Unit string `json:"unit"`
	// Reference is how many tests redis-server passes, Passed how many of those
	// pass here.
	Reference int `json:"reference"`
	Passed    int `json:"passed"`
	// Status is why the last run did not come to its end: ABORT, TIMEOUT or DOWN.
	Status  string  `json:"status,omitempty"`
	Seconds float64 `json:"seconds"` // of the first run
	// Regressed passed before and did not in any run, Again passed in a run after
	// the first, New are not in the list of those that passed before.
	Regressed []string `json:"regressed,omitempty"`
	Again     []string `json:"passed_again,omitempty"`
	New       []string `json:"newly_passing,omitempty"`
	// Missing pass on redis-server and not here.
	Missing []string `json:"missing,omitempty"`
	// Failures are the failed tests of the first run, and why they failed.
	Failures map[string]string `json:"failures,omitempty"`

	passing []string
}

// judge makes a result of a unit's runs.
func judge(unit string, runs []*run, before, reference list) result {
	last := runs[len(runs)-1]
	res := result{Unit: unit, Reference: len(reference[unit]), Status: last.status, Seconds: runs[0].took.Seconds(), Failures: runs[0].why}
	for i, r := range runs {
		for name, ok := range r.passed {
			if ok && !slices.Contains(res.passing, name) {
				res.passing = append(res.passing, name)
				if i > 0 && before.has(unit, name) {
					res.Again = append(res.Again, name)
				}
			}
		}
	}
	slices.Sort(res.passing)
	slices.Sort(res.Again)
	for _, name := range res.passing {
		if !before.has(unit, name) {
			res.New = append(res.New, name)
		}
		if reference.has(unit, name) {
			res.Passed++
		}
	}
	missing := func(l list) (out []string) {
		for _, name := range l.tests(unit) {
			if _, ok := slices.BinarySearch(res.passing, name); !ok {
				out = append(out, name)
			}
		}
		return out
	}
	res.Regressed, res.Missing = missing(before), missing(reference)
	return res
}

// repeat runs a unit, and again while a test fails that passed before.
func (c *compat) repeat(ctx context.Context, unit string) (result, error) {
	var runs []*run
	for {
		r, err := c.runUnit(ctx, unit)
		if err != nil {
			return result{}, err
		}
		runs = append(runs, r)
		res := judge(unit, runs, c.before, c.reference)
		if len(res.Regressed) == 0 || len(runs) > c.retries || ctx.Err() != nil {
			return res, ctx.Err()
		}
	}
}

// all runs every unit of the profile, some at a time, and tells done of each as it
// ends.
func (c *compat) all(ctx context.Context, done func(result)) (results []result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan string)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range c.jobs {
		wg.Go(func() {
			for unit := range work {
				res, e := c.repeat(ctx, unit)
				mu.Lock()
				if e == nil {
					results = append(results, res)
					done(res)
				} else if err == nil {
					err = e
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for _, unit := range c.profile.units {
		work <- unit
	}
	close(work)
	wg.Wait()
	slices.SortFunc(results, func(a, b result) int {
		return slices.Index(c.profile.units, a.Unit) - slices.Index(c.profile.units, b.Unit)
	})
	return results, err
}
