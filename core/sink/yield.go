package sink

// yieldEvery is how many bytes a member of a pipeline works on before it lets
// others have its processor: about a hundred microseconds of encoding or
// compressing. The scheduler itself would only step in after 10 ms, and every
// client of a busy server waits for that.
const yieldEvery = 32 << 10

// yielder counts the bytes of one side.
type yielder int

// due is told of every chunk, and says that it is time for turn.Yield.
func (y *yielder) due(n int) bool {
	if *y += yielder(n); *y < yieldEvery {
		return false
	}
	*y = 0
	return true
}
