// Package healthtest makes checks fail in tests of programs that use
// app/health.
package healthtest

import (
	"testing"

	"github.com/hardstand/hardstand/app/health"
)

// Force replaces the check of that name by one whose result is err, nil for
// healthy, until the test ends. Its groups stay. A name that is not registered
// is added to all groups.
func Force(t testing.TB, r *health.Registry, name string, err error) {
	t.Helper()
	u := health.NewStatusUpdater()
	u.Update(err)
	restore, e := r.Substitute(name, u)
	if e != nil {
		t.Fatalf("force check %q: %v", name, e)
	}
	t.Cleanup(restore)
}
