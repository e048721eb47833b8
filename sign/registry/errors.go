package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// TagExistsError says that the tag already names another image. Nothing was
// changed.
type TagExistsError struct {
	Tag              name.Tag
	Existing, Wanted v1.Hash
	// Ledger is set when only the ledger remembers the tag: it is gone from the
	// registry, but consumers may still know it as Existing.
	Ledger bool
}

func (e *TagExistsError) Error() string {
	if e.Ledger {
		return fmt.Sprintf("publish %s: the ledger says that the tag was published as %s, not %s: choose a new one",
			e.Tag, e.Existing, e.Wanted)
	}
	return fmt.Sprintf("publish %s: the tag already names %s, not %s: published tags are never overwritten, choose a new one",
		e.Tag, e.Existing, e.Wanted)
}

// TagLostError is an alarm: the tag was written here and names another image
// moments later, or its ledger says that it used to. Somebody else writes to
// this repository, and it does not enforce immutable tags.
type TagLostError struct {
	Tag          name.Tag
	Wrote, Found v1.Hash // Found is zero when the tag is gone
}

func (e *TagLostError) Error() string {
	found := "names " + e.Found.String()
	if e.Found == (v1.Hash{}) {
		found = "is gone"
	}
	return fmt.Sprintf("publish %s: ALARM: the tag was written as %s and now %s: someone else overwrites tags in this repository",
		e.Tag, e.Wrote, found)
}

// RegistryRefusedError says that the registry did not allow the tag although it
// names nothing.
type RegistryRefusedError struct {
	Tag   string
	Cause error
}

func (e *RegistryRefusedError) Error() string {
	hint := ""
	if strings.HasPrefix(e.Tag, "sha256-") {
		hint = ": exclude tags matching sha256-* from the repository's immutability rule, signatures are kept under them"
	}
	return fmt.Sprintf("write tag %s: the registry refuses: %v%s", e.Tag, e.Cause, hint)
}

func (e *RegistryRefusedError) Unwrap() error { return e.Cause }

// refusesOverwrite understands how registries that enforce immutable tags say
// so: ECR 400 TAG_INVALID or ImageTagAlreadyExistsException, Harbor 412
// PRECONDITION, Artifact Registry 400 or 409 FAILED_PRECONDITION, Quay 409 or
// 400 TAG_IMMUTABLE, Docker Hub and ACR 403 or 405 with a word about it, zot and
// Artifactory 403 DENIED.
func refusesOverwrite(err error) bool {
	var te *transport.Error
	if !errors.As(err, &te) {
		return false
	}
	switch te.StatusCode {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusForbidden:
		return true
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusUnprocessableEntity:
		return saysImmutable(te)
	}
	return false
}

func saysImmutable(te *transport.Error) bool {
	for _, d := range te.Errors {
		switch d.Code {
		case transport.TagInvalidErrorCode, "PRECONDITION", "FAILED_PRECONDITION", "TAG_IMMUTABLE", "TAG_LOCKED":
			return true
		}
	}
	text := strings.ToLower(te.Error())
	for _, word := range []string{"immutable", "already exists", "failed_precondition", "cannot be overwritten", "locked"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func isNotFound(err error) bool {
	var te *transport.Error
	return errors.As(err, &te) && te.StatusCode == http.StatusNotFound
}

// passingError reports whether an error may go away by itself.
func passingError(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var te *transport.Error
	if errors.As(err, &te) {
		return te.Temporary()
	}
	for _, cause := range []error{io.ErrUnexpectedEOF, io.EOF, syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNREFUSED, net.ErrClosed} {
		if errors.Is(err, cause) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
