package sink

import "slices"

// all are the members, in the order of Stats.
func (p *Pipeline) all() []*member {
	return slices.Concat([]*member{p.enc}, p.stages, p.sinks())
}

// goOn has the members that an earlier pipeline has as well go on counting.
func (p *Pipeline) goOn(before *Pipeline) {
	for _, m := range p.all() {
		if i := slices.IndexFunc(before.all(), m.is); i >= 0 {
			m.tally = before.all()[i].tally
		}
	}
}

// TakeOver closes a pipeline that this one has taken the place of, waits for its Retry
// to end, and has this one owe what that one did to the targets that both have. It may
// be called again: a job that goes on with the earlier one to its end may owe something
// then. It returns how many sets were owed to targets that this one does not have, by
// their names: they are given up.
func (p *Pipeline) TakeOver(before *Pipeline) (lost map[string]int) {
	before.Close()
	before.retry.Lock()
	defer before.retry.Unlock()
	before.mu.Lock()
	pending, left := before.pending, before.left
	before.pending, before.left = make(map[*member][]*feed), make(map[SetID]bool)
	before.mu.Unlock()
	p.mu.Lock()
	for id := range left {
		p.left[id] = true
	}
	p.mu.Unlock()
	lost = make(map[string]int)
	for from, feeds := range pending {
		i := slices.IndexFunc(p.target, from.is)
		if i < 0 || p.target[i].required {
			// A required target gets every checkpoint from here on; what it lacks of
			// earlier ones nobody feeds.
			if len(feeds) > 0 {
				lost[from.name] = len(feeds)
			}
			continue
		}
		for _, f := range feeds {
			p.oweFeed(p.target[i], f)
		}
	}
	return lost
}
