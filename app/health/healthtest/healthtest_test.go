package healthtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/healthtest"
)

func TestForce(t *testing.T) {
	r := health.New()
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := r.Add("db", func(context.Context) error { return nil }, health.In(health.Live))
	if err != nil {
		t.Fatal(err)
	}
	c.RunNow(t.Context())
	t.Run("forced", func(t *testing.T) {
		healthtest.Force(t, r, "db", errors.New("forced"))
		healthtest.Force(t, r, "other", errors.New("forced"))
		if live, n := r.Status(health.Live), len(r.CheckStatus()); live.State != health.Fail || n != 2 {
			t.Errorf("live %v, %d failing", live.State, n)
		}
	})
	if n := len(r.CheckStatus()); n != 0 || r.Lookup("other") != nil || r.Lookup("db") != c {
		t.Errorf("%d failing after the test", n)
	}
}
