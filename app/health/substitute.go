package health

import (
	"slices"
	"sync"
)

// Substitute lets c answer in place of the check of that name, with the same
// groups and options, until restore is called; the check itself goes on running
// unseen. A name that is not registered is added to all groups and taken out
// again. It serves tests; see healthtest.Force.
func (r *Registry) Substitute(name string, c Checker) (restore func(), err error) {
	r = r.or()
	old := r.find(name)
	if old == nil {
		k, err := r.AddChecker(name, c, In(Any))
		if err != nil {
			return nil, err
		}
		return k.Remove, nil
	}
	s := defaults()
	s.onDemand, s.group, s.nonFatal, s.deps, s.public = true, old.group, old.nonFatal, old.deps, old.public
	k, err := r.build(name, c, s)
	if err != nil {
		return nil, err
	}
	k.cell.attach(r)
	if k.runner != nil {
		k.runner.start()
	}
	r.swap(old, k)
	return sync.OnceFunc(func() {
		k.stop()
		r.swap(k, old)
	}), nil
}

// swap puts b into the list in place of a, which has the same name, if a is
// still there.
func (r *Registry) swap(a, b *Check) {
	r.mu.Lock()
	old := r.checks()
	if i := slices.Index(old, a); i >= 0 {
		list := slices.Clone(old)
		list[i] = b
		r.list.Store(&list)
	}
	r.mu.Unlock()
	r.changed()
}
