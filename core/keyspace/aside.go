package keyspace

import (
	"cmp"
	"slices"
)

// What a keyspace holds that is no key has its place in shard 0: it changes under
// the lock of that shard, and so in the order of the log; the view of that shard has
// it as it was at the cut; and part 0 of a checkpoint carries it, ahead of the keys.
// It is function libraries, and where the data stand that follow another server's (following.go).

// Library is a function library: source text whose first line names it. Code is
// never written.
type Library struct {
	Name string
	Code []byte
}

// Libraries returns the function libraries, in the order of their names. It needs
// no lock, and what it returned never changes: a change makes a new list. As long as
// the lists are the same, so are the libraries.
func (k *Keyspace) Libraries() []Library { return *k.libraries.Load() }

// SetLibraries replaces all function libraries by others, whose names differ. The lock
// of shard 0 is held.
func (k *Keyspace) SetLibraries(all []Library) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Library) int { return cmp.Compare(a.Name, b.Name) })
	k.libraries.Store(&all)
}

// PutLibrary adds a function library, or replaces the one of its name. The lock of
// shard 0 is held.
func (k *Keyspace) PutLibrary(l Library) {
	k.SetLibraries(append(k.without(l.Name), l))
}

// DeleteLibrary removes a function library and tells whether it was there. The lock
// of shard 0 is held.
func (k *Keyspace) DeleteLibrary(name string) bool {
	before := len(k.Libraries())
	rest := k.without(name)
	k.SetLibraries(rest)
	return len(rest) < before
}

// Library returns a function library by its name. It needs no lock.
func (k *Keyspace) Library(name string) (l Library, ok bool) {
	for _, l := range k.Libraries() {
		if l.Name == name {
			return l, true
		}
	}
	return l, false
}

// without copies the list but for a name.
func (k *Keyspace) without(name string) []Library {
	return slices.DeleteFunc(slices.Clone(k.Libraries()), func(l Library) bool { return l.Name == name })
}
