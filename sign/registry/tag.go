package registry

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign"
)

// validTag is the form of tags of the OCI distribution-spec.
var validTag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

var uniqueTag = regexp.MustCompile(`-r[0-9]+-[0-9]{8}-[0-9a-f]{8}$`)

// UniqueTag makes a tag that no other content gets: VERSION-rREVISION-DATE-
// followed by the first eight hex digits of the digest. The day is in UTC.
func UniqueTag(version string, revision int, day time.Time, digest v1.Hash) (string, error) {
	if len(digest.Hex) < 8 {
		return "", fmt.Errorf("make tag: digest %q is too short", digest)
	}
	tag := fmt.Sprintf("%s-r%d-%s-%s", version, revision, day.UTC().Format("20060102"), digest.Hex[:8])
	if version == "" || revision < 0 || !validTag.MatchString(tag) {
		return "", fmt.Errorf("make tag: %q is not a valid tag", tag)
	}
	return tag, nil
}

// IsUniqueTag reports whether a tag has the form of [UniqueTag]; such a tag is
// never moved, not even on request.
func IsUniqueTag(tag string) bool {
	return uniqueTag.MatchString(tag)
}

// tagState is what a tag named when publishing began.
type tagState struct {
	digest v1.Hash
	found  bool
}

// setTag writes the tag, as the last step and with as little time as possible
// between looking and writing. before is what the tag may name: nothing, or what
// the caller asked to move it from. Only a registry that enforces immutable tags
// closes the gap; elsewhere reading back tells who lost.
func (r *Repository) setTag(ctx context.Context, tag name.Tag, m sign.Manifest, digest v1.Hash, before tagState) error {
	header := http.Header{}
	if !before.found {
		// RFC 9110 section 13.1.2: fail if it exists. Few registries look at it.
		header.Set("If-None-Match", "*")
	}
	for attempt := 1; ; attempt++ {
		done, err := r.tagIsSet(ctx, tag, digest, before)
		if done || err != nil {
			return err
		}
		err = r.put(ctx, tag.TagStr(), m, header)
		if err == nil {
			return r.readTagBack(ctx, tag, digest)
		}
		if verdict := r.tagRefused(ctx, tag, digest, before, err); verdict != errAgain {
			return verdict
		}
		if attempt >= r.remote.attempts() {
			return err
		}
		if err := sleep(ctx, pause(r.remote.backoff(), attempt)); err != nil {
			return err
		}
	}
}

func (r *Repository) tagIsSet(ctx context.Context, tag name.Tag, digest v1.Hash, before tagState) (bool, error) {
	existing, found, err := r.resolve(ctx, tag.TagStr())
	switch {
	case err != nil:
		return false, err
	case found && existing == digest:
		return true, nil
	case found && (!before.found || existing != before.digest):
		return false, &TagExistsError{Tag: tag, Existing: existing, Wanted: digest}
	}
	return false, nil
}

func (r *Repository) readTagBack(ctx context.Context, tag name.Tag, digest v1.Hash) error {
	existing, found, err := r.resolve(ctx, tag.TagStr())
	if err != nil {
		return fmt.Errorf("read back the tag just written: %w", err)
	}
	if !found || existing != digest {
		return &TagLostError{Tag: tag, Wrote: digest, Found: existing}
	}
	return nil
}

var errAgain = fmt.Errorf("try again")

// tagRefused finds out what a failed write of a tag means by looking: a lost
// answer may hide a success, and a refusal may be because our own image is
// already there, which ECR refuses as well.
func (r *Repository) tagRefused(ctx context.Context, tag name.Tag, digest v1.Hash, before tagState, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	done, err := r.tagIsSet(ctx, tag, digest, before)
	switch {
	case done:
		return nil
	case err != nil:
		return err
	case refusesOverwrite(cause):
		return &RegistryRefusedError{Tag: tag.TagStr(), Cause: cause}
	case passingError(cause):
		return errAgain
	}
	return cause
}
