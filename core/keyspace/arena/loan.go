package arena

// Loan keeps the memory of a block as it is for who reads it without the lock under which
// the arena is used: that of a block which is freed, or of an arena which is closed,
// is not given back before Return. Nobody writes to such a block who asks Lent first.
type Loan struct{ c *chunk }

// MayLend tells whether a block of so many bytes may be one that Lend lends.
func MayLend(size int) bool { return size > maxRun }

// Lend lends a block. ok is false for one that has no memory of its own, which is
// every one of up to 512 KiB.
func (a *Arena) Lend(r Ref) (l Loan, ok bool) {
	c := a.chunks[r>>16]
	if c.kind != kindHuge {
		return Loan{}, false
	}
	c.users.Add(1)
	return Loan{c}, true
}

// Lent tells whether somebody has a block on loan. Who is told that nobody has may write
// to it until the next Lend.
func (a *Arena) Lent(r Ref) bool { return a.chunks[r>>16].users.Load() > 1 }

// Return ends the loan. It is called once, by any goroutine.
func (l Loan) Return() { l.c.leave() }

// leave gives the memory back unless somebody else uses it.
func (c *chunk) leave() {
	if c.users.Add(-1) == 0 {
		c.mem.release()
	}
}
