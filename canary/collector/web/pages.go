package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const perPage = 50

// nowPage is what needs somebody now.
type nowPage struct {
	Open, Acknowledged []store.Incident // worst first
	Trouble            []store.SinkState
	Silent             []store.Canary // heartbeats stopped
	Drills             int            // builds that no drill was held for
	Stats              store.Stats
	Mutes              []store.Mute
	More               bool // there are more open incidents than listed
}

func (d *Dashboard) getNow(w http.ResponseWriter, r *http.Request, v *view) error {
	ctx := r.Context()
	open, _ := ctx.Value(contextKey{}).([]store.Incident)
	page := nowPage{Open: slices.Clone(open), More: len(open) == maxOpen}
	worstFirst(page.Open)
	var err error
	if page.Acknowledged, err = d.Store.ListIncidents(ctx, store.IncidentQuery{States: []store.State{store.Acknowledged}, Limit: perPage}); err != nil {
		return err
	}
	worstFirst(page.Acknowledged)
	sinks, err := d.Store.Sinks(ctx, v.Now)
	if err != nil {
		return err
	}
	for _, s := range sinks {
		if s.Failures > 0 {
			page.Trouble = append(page.Trouble, s)
		}
	}
	canaries, err := d.Store.Canaries(ctx)
	if err != nil {
		return err
	}
	for _, c := range canaries {
		if silent(c, v.Now) {
			page.Silent = append(page.Silent, c)
		}
		if c.LastDrill.IsZero() {
			page.Drills++
		}
	}
	if page.Mutes, err = d.Store.Mutes(ctx, v.Now); err != nil {
		return err
	}
	if page.Stats, err = d.Store.Stats(ctx); err != nil {
		return err
	}
	v.Title, v.Section, v.Data = "Now", "now", page
	return d.show(w, "now", v)
}

func worstFirst(list []store.Incident) {
	slices.SortStableFunc(list, func(a, b store.Incident) int {
		if a.Severity != b.Severity {
			return int(b.Severity - a.Severity)
		}
		return b.Last.Compare(a.Last)
	})
}

// silentAfter matches when the collector itself raises the alarm.
const silentAfter = 15 * time.Minute

func silent(c store.Canary, now time.Time) bool {
	return c.Guard && !c.Revoked && !c.LastHeartbeat.IsZero() && now.Sub(c.LastHeartbeat) > silentAfter
}

type dayGroup struct {
	Day       time.Time
	Incidents []store.Incident
}

type timelinePage struct {
	Days         []dayGroup
	State, Build string
	Older, Newer string // addresses; empty: none
	Any          bool
}

func (d *Dashboard) getTimeline(w http.ResponseWriter, r *http.Request, v *view) error {
	query := r.URL.Query()
	page := timelinePage{State: query.Get("state"), Build: query.Get("build")}
	q := store.IncidentQuery{Build: page.Build, Limit: perPage + 1, Offset: number(query.Get("from"))}
	switch s := store.State(page.State); s {
	case store.Open, store.Acknowledged, store.Resolved:
		q.States = []store.State{s}
	default:
		page.State = ""
	}
	found, err := d.Store.ListIncidents(r.Context(), q)
	if err != nil {
		return err
	}
	if len(found) > perPage {
		found = found[:perPage]
		query.Set("from", strconv.Itoa(q.Offset+perPage))
		page.Older = "/timeline?" + query.Encode()
	}
	if q.Offset > 0 {
		query.Set("from", strconv.Itoa(max(0, q.Offset-perPage)))
		page.Newer = "/timeline?" + query.Encode()
	}
	for _, i := range found {
		day := i.Last.UTC().Truncate(24 * time.Hour)
		if n := len(page.Days); n == 0 || !page.Days[n-1].Day.Equal(day) {
			page.Days = append(page.Days, dayGroup{Day: day})
		}
		last := &page.Days[len(page.Days)-1]
		last.Incidents = append(last.Incidents, i)
	}
	page.Any = len(found) > 0
	v.Title, v.Section, v.Data = "Timeline", "timeline", page
	return d.show(w, "timeline", v)
}

const maxOffset = 1_000_000

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxOffset {
		return 0
	}
	return n
}

// step is a process of the ancestry, outermost first; the last is the decoy.
type step struct {
	PID   int
	Name  string
	Exe   string
	Argv  []string
	Decoy bool
}

type incidentPage struct {
	store.Incident
	Alarms     []store.Alarm
	Latest     *store.Alarm // the newest with what a decoy saw
	Steps      []step
	Canary     *store.Canary
	Deliveries []store.Delivery
	Audit      []store.AuditEntry
	Mute       *store.Mute
	Shown      int
}

const maxShown = 50 // alarms of an incident

func (d *Dashboard) getIncident(w http.ResponseWriter, r *http.Request, v *view) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	page := incidentPage{Shown: maxShown}
	ctx := r.Context()
	if page.Incident, err = d.Store.GetIncident(ctx, id); err != nil {
		return err
	}
	if page.Alarms, err = d.Store.Alarms(ctx, id, maxShown); err != nil {
		return err
	}
	for n := range page.Alarms {
		a := &page.Alarms[n]
		// The second word of a decoy knows more than the first.
		if a.Event != nil && (page.Latest == nil || len(a.Event.Ancestors) > 0 && len(page.Latest.Event.Ancestors) == 0) {
			page.Latest = a
		}
	}
	if page.Latest != nil {
		page.Steps = ancestry(*page.Latest.Event)
	}
	if err := d.around(ctx, &page, v.Now); err != nil {
		return err
	}
	v.Title, v.Section, v.Data = "Incident "+strconv.FormatInt(id, 10), "timeline", page
	return d.show(w, "incident", v)
}

// around is what else is known: the image, who was told, who did what.
func (d *Dashboard) around(ctx context.Context, page *incidentPage, now time.Time) error {
	canaries, err := d.Store.Canaries(ctx)
	if err != nil {
		return err
	}
	for _, c := range canaries {
		if c.Build == page.Build && page.Build != "" {
			page.Canary = &c
		}
	}
	if page.Deliveries, err = d.Store.Deliveries(ctx, page.ID); err != nil {
		return err
	}
	entries, err := d.Store.Audit(ctx, maxAudit)
	if err != nil {
		return err
	}
	object := fmt.Sprintf("incident %d", page.ID)
	for _, e := range entries {
		if e.Object == object {
			page.Audit = append(page.Audit, e)
		}
	}
	mutes, err := d.Store.Mutes(ctx, now)
	if err != nil {
		return err
	}
	for _, m := range mutes {
		if m.ID == page.MutedBy || m.DedupKey != "" && m.DedupKey == page.DedupKey {
			page.Mute = &m
		}
	}
	return nil
}

// Facts are those of the newest alarm that has some.
func (p incidentPage) Facts() map[string]string {
	for _, a := range p.Alarms {
		if len(a.Facts) > 0 {
			return a.Facts
		}
	}
	return nil
}

// ancestry puts an event's processes in the order in which they started each
// other.
func ancestry(e alert.Event) []step {
	var steps []step
	for _, p := range slices.Backward(e.Ancestors) {
		steps = append(steps, step{PID: p.PID, Name: p.Comm, Exe: p.Exe, Argv: p.Argv})
	}
	return append(steps, step{PID: e.PID, Name: e.Decoy, Exe: e.Path, Argv: e.Argv, Decoy: true})
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, store.ErrNotFound
	}
	return id, nil
}

func (d *Dashboard) getCanaries(w http.ResponseWriter, r *http.Request, v *view) error {
	canaries, err := d.Store.Canaries(r.Context())
	if err != nil {
		return err
	}
	slices.SortFunc(canaries, func(a, b store.Canary) int {
		return strings.Compare(a.Image+"\x00"+a.Build, b.Image+"\x00"+b.Build)
	})
	v.Title, v.Section, v.Data = "Canaries", "canaries", canaries
	return d.show(w, "canaries", v)
}

type quietPage struct {
	Mutes  []store.Mute
	Over   []store.Mute
	Rules  []store.IgnoreRule
	Fill   store.Mute // what the form starts with
	Builds []string
}

func (d *Dashboard) getQuiet(w http.ResponseWriter, r *http.Request, v *view) error {
	all, err := d.Store.Mutes(r.Context(), time.Time{})
	if err != nil {
		return err
	}
	query := r.URL.Query()
	page := quietPage{Fill: store.Mute{Build: query.Get("build"), Decoy: query.Get("decoy")}}
	for _, m := range all {
		if m.Until.After(v.Now) {
			page.Mutes = append(page.Mutes, m)
		} else if len(page.Over) < perPage {
			page.Over = append(page.Over, m)
		}
	}
	if page.Rules, err = d.Store.IgnoreRules(r.Context()); err != nil {
		return err
	}
	canaries, err := d.Store.Canaries(r.Context())
	if err != nil {
		return err
	}
	for _, c := range canaries {
		page.Builds = append(page.Builds, c.Build)
	}
	v.Title, v.Section, v.Data = "Quiet", "quiet", page
	return d.show(w, "quiet", v)
}

func (d *Dashboard) getSinks(w http.ResponseWriter, r *http.Request, v *view) error {
	sinks, err := d.Store.Sinks(r.Context(), v.Now)
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Data = "Sinks", "sinks", sinks
	return d.show(w, "sinks", v)
}

const maxAudit = 500

func (d *Dashboard) getAudit(w http.ResponseWriter, r *http.Request, v *view) error {
	entries, err := d.Store.Audit(r.Context(), maxAudit)
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Data = "Audit log", "audit", entries
	return d.show(w, "audit", v)
}
