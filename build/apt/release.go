package apt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
)

// Limits on what is read from an archive, in bytes.
const (
	maxRelease  = 8 << 20
	maxPackages = 512 << 20 // unpacked
)

// maxSkew is how far in the future a suite's Date may lie.
const maxSkew = time.Hour

// Release is a suite's verified index of indexes.
type Release struct {
	Suite      string
	Version    string    // such as "13.7", may be empty
	Date       time.Time // when the archive made it
	ValidUntil time.Time // zero where the archive sets none
	ByHash     bool      // indexes can be fetched by their digest
	Keys       []string  // fingerprints of the primary keys whose signatures hold
	Digest     cache.Digest

	files map[string]indexFile
}

type indexFile struct {
	digest cache.Digest
	size   int64
}

// FreshnessError reports a suite that is older than it may be, or newer than
// the clock.
type FreshnessError struct {
	Suite  string
	Reason string
}

func (e *FreshnessError) Error() string {
	return fmt.Sprintf("suite %s is not fresh: %s", e.Suite, e.Reason)
}

// SignatureError reports an InRelease file that no trusted key vouches for.
type SignatureError struct {
	Suite string
	Err   error
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("suite %s: InRelease is not signed by a trusted key: %v", e.Suite, e.Err)
}

func (e *SignatureError) Unwrap() error { return e.Err }

// ParseRelease verifies an InRelease file and reads it. Only the signed text
// is looked at, and nothing may stand around it. now is the time at which
// signatures and Valid-Until are judged; floor, when not zero, is the Date
// below which the suite was rolled back.
func ParseRelease(data []byte, suite string, keys Keyring, now, floor time.Time) (*Release, error) {
	text, fingerprints, err := verifyClearsigned(data, keys, now)
	if err != nil {
		return nil, &SignatureError{suite, err}
	}
	sum := sha256.Sum256(data)
	r := &Release{Suite: suite, Keys: fingerprints, Digest: cache.Digest(hex.EncodeToString(sum[:])), files: map[string]indexFile{}}
	if err := r.parse(text); err != nil {
		return nil, fmt.Errorf("suite %s: read InRelease: %w", suite, err)
	}
	if err := r.checkFresh(now, floor); err != nil {
		return nil, err
	}
	return r, nil
}

var clearsignStart = []byte("-----BEGIN PGP SIGNED MESSAGE-----")

func verifyClearsigned(data []byte, keys Keyring, now time.Time) ([]byte, []string, error) {
	if !bytes.HasPrefix(data, clearsignStart) {
		return nil, nil, errors.New("it does not start with a signed message")
	}
	block, rest := clearsign.Decode(data)
	if block == nil {
		return nil, nil, errors.New("the signed message is malformed")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, errors.New("there is text after the signature")
	}
	fingerprints, err := keys.verify(block.Bytes, block.ArmoredSignature.Body, now)
	if err != nil {
		return nil, nil, err
	}
	return bytes.ReplaceAll(block.Bytes, []byte("\r\n"), []byte("\n")), fingerprints, nil
}

func (r *Release) parse(text []byte) error {
	s := deb.Stanza(append(bytes.TrimRight(text, "\n"), '\n'))
	if codename := s.Get("Codename"); codename != r.Suite {
		return fmt.Errorf("it is for %q", codename)
	}
	r.Version, r.ByHash = s.Get("Version"), s.Get("Acquire-By-Hash") == "yes"
	var err error
	if r.Date, err = parseDate(s.Get("Date")); err != nil {
		return fmt.Errorf("field Date: %w", err)
	}
	if v := s.Get("Valid-Until"); v != "" {
		if r.ValidUntil, err = parseDate(v); err != nil {
			return fmt.Errorf("field Valid-Until: %w", err)
		}
	}
	for line := range strings.SplitSeq(strings.TrimPrefix(s.Get("SHA256"), "\n"), "\n") {
		if line == "" {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("field SHA256: bad line %.80q", line)
		}
		d, err := cache.ParseDigest(f[0])
		if err != nil {
			return fmt.Errorf("field SHA256: %w", err)
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("field SHA256: bad size in %.80q", line)
		}
		if old, dup := r.files[f[2]]; dup && old != (indexFile{d, size}) {
			return fmt.Errorf("field SHA256: %s is listed twice, differently", f[2])
		}
		r.files[f[2]] = indexFile{d, size}
	}
	if len(r.files) == 0 {
		return errors.New("no SHA256 section")
	}
	return nil
}

// parseDate reads a date as Release files write it: RFC 2822 in UTC.
func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{"Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			if _, offset := t.Zone(); offset != 0 || (t.Location() != time.UTC && t.Location().String() != "UTC" && t.Location().String() != "") {
				return time.Time{}, fmt.Errorf("%q is not in UTC", s)
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("bad date %q", s)
}

func (r *Release) checkFresh(now, floor time.Time) error {
	const day = "2006-01-02 15:04 MST"
	switch {
	case !r.ValidUntil.IsZero() && now.After(r.ValidUntil):
		return &FreshnessError{r.Suite, fmt.Sprintf("it was valid until %s and it is %s now: the mirror is stale, or is withholding updates",
			r.ValidUntil.Format(day), now.UTC().Format(day))}
	case r.Date.After(now.Add(maxSkew)):
		return &FreshnessError{r.Suite, fmt.Sprintf("its date %s lies in the future: check this machine's clock", r.Date.Format(day))}
	case r.Date.Before(floor):
		return &FreshnessError{r.Suite, fmt.Sprintf("its date %s is before %s, which the lock has seen: the mirror was rolled back",
			r.Date.Format(day), floor.UTC().Format(day))}
	}
	return nil
}
