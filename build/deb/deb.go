// Package deb reads Debian binary packages and the control data around them:
// the ar container, control.tar and data.tar, control stanzas, relationship
// fields and version order. It performs no network or file system access and
// trusts nothing it reads: every size is limited and a hostile entry is an
// error, never skipped.
//
// Formats: deb(5), deb-control(5), deb-version(7) and Debian Policy chapters 5
// and 7.
package deb

import (
	"errors"
	"fmt"
)

// Limits bounds what a Reader accepts. A zero field means the default.
type Limits struct {
	Control int64 // bytes of the unpacked control.tar
	Data    int64 // bytes of the unpacked data.tar
	Entry   int64 // bytes of one file in data.tar
	Entries int   // entries in data.tar
}

// The defaults leave room for the largest packages of Debian main.
const (
	DefaultMaxControl = 16 << 20
	DefaultMaxData    = 4 << 30
	DefaultMaxEntry   = 2 << 30
	DefaultMaxEntries = 200_000
)

func (l Limits) withDefaults() Limits {
	if l.Control == 0 {
		l.Control = DefaultMaxControl
	}
	if l.Data == 0 {
		l.Data = DefaultMaxData
	}
	if l.Entry == 0 {
		l.Entry = DefaultMaxEntry
	}
	if l.Entries == 0 {
		l.Entries = DefaultMaxEntries
	}
	return l
}

// ErrTooLarge is wrapped by errors about input that exceeds a limit.
var ErrTooLarge = errors.New("over the size limit")

// HostileError reports a data.tar entry that an honest package never holds.
type HostileError struct {
	Path   string // as it stands in the archive
	Reason string
}

func (e *HostileError) Error() string {
	return fmt.Sprintf("refuse entry %q: %s", e.Path, e.Reason)
}
