// Package status is what an operator wants to know of a daemon: one [Report], which
// the daemon fills in, and which is shown as JSON, as text in a terminal ([Report.Text]),
// and as a page for a browser ([Handler]). What is wrong in it, and what to do about
// that, is judged in one place, [Report.Judge].
package status
