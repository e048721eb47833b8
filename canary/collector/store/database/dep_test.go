package database

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":           "what a decoy saw is kept as it was sent",
		"github.com/hardstand/hardstand/canary/collector/store": "the contract",
		"github.com/hardstand/hardstand/canary/collector/noise": "what belongs together",
		"github.com/jackc/...":                                  "PostgreSQL",
		"modernc.org/...":                                       "SQLite",
		"golang.org/x/...":                                      "through both drivers",
		"github.com/dustin/go-humanize":                         "through SQLite",
		"github.com/google/uuid":                                "through SQLite",
		"github.com/remyoudompheng/bigfft":                      "through SQLite",
	})
}
