package persist

import "sync"

// usage counts those who use something that may be replaced while they do. The zero
// value is ready for use.
type usage struct {
	mu      sync.Mutex // held for no other lock
	users   int
	retired bool
	end     func()
}

// begin counts a user; false says that it was replaced: use what has come for it.
func (u *usage) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.retired {
		return false
	}
	u.users++
	return true
}

// more counts another user. The caller is one.
func (u *usage) more() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.users++
}

// done is the end of a use.
func (u *usage) done() {
	u.mu.Lock()
	u.users--
	over := u.retired && u.users == 0
	u.mu.Unlock()
	if over {
		u.end()
	}
}

// retire admits no further user. end is called once, when the last has ended.
func (u *usage) retire(end func()) {
	u.mu.Lock()
	u.retired, u.end = true, end
	over := u.users == 0
	u.mu.Unlock()
	if over {
		end()
	}
}

// isRetired tells whether retire was called.
func (u *usage) isRetired() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.retired
}
