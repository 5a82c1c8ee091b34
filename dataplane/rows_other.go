//go:build !amd64 || race

package dataplane

// The race detector does not see what assembly reads and writes.

func (l *firstLook) look()  { l.lookGo() }
func (r *row) forward()     { r.forwardGo() }
func (r *row) decap()       { r.decapGo() }
func (r *row) encapsulate() { r.encapsulateGo() }
func (r *row) rewrite()     { r.rewriteGo() }
