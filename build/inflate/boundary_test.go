package inflate_test

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) { deptest.Check(t, nil) }
