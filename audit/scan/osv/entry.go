package osv

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Entry is one advisory. Of the schema it holds what a decision needs.
type Entry struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Published time.Time  `json:"published"`
	Withdrawn *time.Time `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Related   []string   `json:"related"`
	Summary   string     `json:"summary"`
	Severity  []Severity `json:"severity"`
	Affected  []Affected `json:"affected"`
	Database  loose      `json:"database_specific"`

	// Raw is the entry as it was read.
	Raw json.RawMessage `json:"-"`
}

// Severity is a rating: a CVSS vector (CVSS_V2, CVSS_V3, CVSS_V4), or a word
// under another type such as Ubuntu.
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Affected names a package and its affected versions.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity []Severity `json:"severity"`
	Ranges   []Range    `json:"ranges"`
	Versions []string   `json:"versions"`
	Specific loose      `json:"ecosystem_specific"`
	Database loose      `json:"database_specific"`
}

// Range is a list of events in the order of one kind of version.
type Range struct {
	Type   string  `json:"type"` // SEMVER, ECOSYSTEM or GIT
	Events []Event `json:"events"`
}

// Event has exactly one field set.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

// loose is a part of the schema that each database fills as it likes: the two
// words we look for, if they are there and are words.
type loose struct {
	Severity string
	Urgency  string // Debian's
}

func (l *loose) UnmarshalJSON(data []byte) error {
	var fields struct{ Severity, Urgency json.RawMessage }
	if json.Unmarshal(data, &fields) != nil {
		return nil // not even an object: nothing that could be of use
	}
	word := func(raw json.RawMessage) (s string) {
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	*l = loose{word(fields.Severity), word(fields.Urgency)}
	return nil
}

// ParseEntry reads one entry.
func ParseEntry(data []byte) (*Entry, error) {
	if len(data) > MaxEntry {
		return nil, fmt.Errorf("read entry: more than %d bytes", MaxEntry)
	}
	e := &Entry{Raw: data}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("read entry: %w", err)
	}
	if e.ID == "" {
		return nil, errors.New("read entry: it has no id")
	}
	return e, nil
}

// CVEs returns the CVE identifiers among an entry's names for the same flaw.
// An entry that Debian made for one CVE ("DEBIAN-CVE-...") counts as it.
func (e *Entry) CVEs() []string {
	var list []string
	for _, id := range e.Names() {
		if strings.HasPrefix(id, "CVE-") {
			list = append(list, id)
		}
	}
	return list
}

// Names returns the identifiers of the same flaw, the entry's own first.
func (e *Entry) Names() []string {
	names := append([]string{e.ID}, e.Aliases...)
	for _, up := range e.Upstream {
		if strings.HasSuffix(e.ID, "-"+up) {
			names = append(names, up)
		}
	}
	return names
}
