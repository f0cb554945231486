// Package linear records what concurrent clients of an engine did and were told,
// through kills and restarts, and asks porcupine whether that is linearizable:
// whether each operation can have happened at one moment between its call and its
// reply, in one order for all.
//
//	h := linear.New()
//	go h.Client(0, conn, rng, each)              // as many as you like
//	lost := h.Power(func() { pull the plug })
//	lost.Settle()                                // once the clients have returned
//	h.Look(conn)                                 // on what was started again
//	h.Check(t)
//
// The clients use few keys and many ways to touch them: GET, SET, INCR, APPEND,
// RENAME, transactions on several keys, and WATCH with a value that the
// transaction then depends on. Values are never written twice, so that a read
// says which write it saw.
//
// What was in flight when the power went may have happened or not; it was over
// before the next start, and may not happen later. What was acknowledged before
// has happened. So a history is of one life of the data, over any number of lives
// of the engine.
package linear
