package scan

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/audit/scan/osv"
)

// maxFeed bounds a feed, unpacked, in bytes.
const maxFeed = 256 << 20

// byteOrderMark is what some editors and shells put before UTF-8.
var byteOrderMark = []byte("\ufeff")

// KEV is an entry of CISA's catalogue of exploited vulnerabilities.
type KEV struct {
	Added      string `json:"added"`
	Due        string `json:"due,omitempty"`
	Ransomware bool   `json:"ransomware,omitempty"`
}

// EPSS is a forecast of exploitation within 30 days, by FIRST.
type EPSS struct {
	Score      float64 `json:"score"`
	Percentile float64 `json:"percentile"`
}

// Feeds say what is known of exploitation, by CVE.
type Feeds struct {
	KEV  map[string]KEV  // nil where there is no catalogue
	EPSS map[string]EPSS // nil where there are no forecasts
	// KEVDate and EPSSDate say when they were made.
	KEVDate, EPSSDate time.Time
}

// ReadKEV reads the catalogue, JSON.
func (s *Feeds) ReadKEV(data []byte) error {
	var doc struct {
		Released        time.Time `json:"dateReleased"`
		Count           *int      `json:"count"`
		Vulnerabilities []struct {
			ID         string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Due        string `json:"dueDate"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if len(data) > maxFeed {
		return fmt.Errorf("read KEV catalogue: more than %d bytes", maxFeed)
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, byteOrderMark), &doc); err != nil {
		return fmt.Errorf("read KEV catalogue: %w", err)
	}
	if len(doc.Vulnerabilities) == 0 {
		return errors.New("read KEV catalogue: it lists no vulnerability, so it is not the catalogue or not a whole one")
	}
	if n := len(doc.Vulnerabilities); doc.Count != nil && *doc.Count != n {
		return fmt.Errorf("read KEV catalogue: it counts %d vulnerabilities and lists %d, so it is not a whole one; fetch it again", *doc.Count, n)
	}
	s.KEV, s.KEVDate = map[string]KEV{}, doc.Released
	for i, v := range doc.Vulnerabilities {
		if !strings.HasPrefix(v.ID, "CVE-") {
			return fmt.Errorf("read KEV catalogue: entry %d: cveID is %.40q", i+1, v.ID)
		}
		s.KEV[v.ID] = KEV{v.Added, v.Due, strings.EqualFold(v.Ransomware, "known")}
	}
	return nil
}

// ReadEPSS reads the daily CSV, gzipped or not: a line that starts with "#",
// the heading cve,epss,percentile, and the rows.
func (s *Feeds) ReadEPSS(data []byte) error {
	data = bytes.TrimPrefix(data, byteOrderMark)
	var r io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("read EPSS: %w", err)
		}
		r = z
	}
	counted := &io.LimitedReader{R: r, N: maxFeed}
	lines := bufio.NewScanner(counted)
	s.EPSS = map[string]EPSS{}
	heading := false
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
			s.EPSSDate = epssDate(line)
		case !heading:
			if !strings.HasPrefix(line, "cve,epss,percentile") {
				return fmt.Errorf("read EPSS: line %d is not the heading cve,epss,percentile", n)
			}
			heading = true
		default:
			if err := s.row(line); err != nil {
				return fmt.Errorf("read EPSS: line %d: %w", n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read EPSS: %w", err)
	}
	if counted.N <= 0 {
		return fmt.Errorf("read EPSS: more than %d bytes", maxFeed)
	}
	if len(s.EPSS) == 0 {
		return errors.New("read EPSS: it has no row")
	}
	return nil
}

func (s *Feeds) row(line string) error {
	cells := strings.Split(line, ",")
	if len(cells) < 3 {
		return fmt.Errorf("%d cells, want 3", len(cells))
	}
	if !strings.HasPrefix(cells[0], "CVE-") {
		return fmt.Errorf("%.40q is no CVE", cells[0])
	}
	score, err := strconv.ParseFloat(cells[1], 64)
	if err != nil {
		return err
	}
	percentile, err := strconv.ParseFloat(cells[2], 64)
	if err != nil {
		return err
	}
	if !(score >= 0 && score <= 1 && percentile >= 0 && percentile <= 1) { // also false for NaN
		return errors.New("a probability outside of 0 to 1")
	}
	s.EPSS[cells[0]] = EPSS{score, percentile}
	return nil
}

// epssDate finds "score_date:2026-11-22T00:00:00+0000" in the comment.
func epssDate(line string) time.Time {
	_, text, _ := strings.Cut(line, "score_date:")
	text, _, _ = strings.Cut(text, ",")
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// notes say how old the feeds are: what an old one does not list, it cannot
// refuse.
func (s *Feeds) notes(now time.Time) []string {
	var list []string
	for _, feed := range []struct {
		name    string
		entries int
		date    time.Time
	}{{"KEV catalogue", len(s.KEV), s.KEVDate}, {"EPSS forecasts", len(s.EPSS), s.EPSSDate}} {
		switch age := now.Sub(feed.date); {
		case feed.entries == 0:
		case feed.date.IsZero():
			list = append(list, fmt.Sprintf("%s: %d entries, without a date", feed.name, feed.entries))
		case age < -24*time.Hour:
			list = append(list, fmt.Sprintf("%s: %d entries, dated %s, in the future", feed.name, feed.entries, feed.date.UTC().Format(time.DateOnly)))
		default:
			list = append(list, fmt.Sprintf("%s: %d entries of %s, %d days old", feed.name, feed.entries, feed.date.UTC().Format(time.DateOnly), int(max(age, 0)/(24*time.Hour))))
		}
	}
	return list
}

// apply adds what the feeds know of a finding, under any of its names.
func (s *Feeds) apply(f *Finding) {
	for _, id := range f.Names() {
		if k, ok := s.KEV[id]; ok && f.KEV == nil {
			f.KEV = &k
		}
		if e, ok := s.EPSS[id]; ok && (f.EPSS == nil || e.Score > f.EPSS.Score) {
			f.EPSS = &e
		}
	}
}

// firstTime is when an advisory appeared, as far as it says.
func firstTime(e *osv.Entry) time.Time {
	if e.Published.IsZero() {
		return e.Modified
	}
	return e.Published
}
