package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// flashes are said after something was done. The address names one; it cannot
// bring a text of its own.
var flashes = map[string]string{
	"acknowledge": "Acknowledged.", "assign": "Assigned.", "resolve": "Resolved.", "mute": "Muted.", "unmute": "The mute has ended.",
	"rule": "The rule is in force.", "unrule": "The rule was removed.", "revoke": "The register was changed.",
}

const (
	maxNote  = 500 // bytes of a note or reason
	maxField = 200 // bytes of a pattern or name
	maxQuiet = 30 * 24 * time.Hour
)

func done(w http.ResponseWriter, r *http.Request, path, what string) error {
	http.Redirect(w, r, path+"?done="+what, http.StatusSeeOther)
	return nil
}

func incidentPath(id int64) string { return "/incidents/" + strconv.FormatInt(id, 10) }

// text reads a field of the form, or says that it is too long.
func text(r *http.Request, name string, limit int) (string, error) {
	value := strings.TrimSpace(r.PostForm.Get(name))
	if len(value) > limit {
		return "", &notice{http.StatusBadRequest, "The " + name + " is longer than " + strconv.Itoa(limit) + " bytes."}
	}
	return value, nil
}

func (d *Dashboard) postAcknowledge(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, note, err := idAndNote(r)
	if err != nil {
		return err
	}
	if _, err := d.Store.Acknowledge(r.Context(), id, who, note); err != nil {
		return err
	}
	return done(w, r, incidentPath(id), "acknowledge")
}

func (d *Dashboard) postResolve(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, note, err := idAndNote(r)
	if err != nil {
		return err
	}
	if _, err := d.Store.Resolve(r.Context(), id, who, note); err != nil {
		return err
	}
	return done(w, r, incidentPath(id), "resolve")
}

func idAndNote(r *http.Request) (int64, string, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, "", err
	}
	note, err := text(r, "note", maxNote)
	return id, note, err
}

func (d *Dashboard) postAssign(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	to, err := text(r, "to", maxField)
	if err != nil {
		return err
	}
	if r.PostForm.Get("me") != "" {
		to = who.Name
	}
	if _, err := d.Store.Assign(r.Context(), id, to, who); err != nil {
		return err
	}
	return done(w, r, incidentPath(id), "assign")
}

func (d *Dashboard) postMuteIncident(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	incident, err := d.Store.GetIncident(r.Context(), id)
	if err != nil {
		return err
	}
	if err := d.addMute(r, store.Mute{DedupKey: incident.DedupKey}, who); err != nil {
		return err
	}
	return done(w, r, incidentPath(id), "mute")
}

func (d *Dashboard) postMute(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	var m store.Mute
	for _, f := range []struct {
		name string
		into *string
	}{{"build", &m.Build}, {"image", &m.Image}, {"decoy", &m.Decoy}} {
		value, err := text(r, f.name, maxField)
		if err != nil {
			return err
		}
		*f.into = value
	}
	if m == (store.Mute{}) {
		return &notice{http.StatusBadRequest, "A mute needs a build, an image or a decoy: one for everything would hide an attack."}
	}
	if err := d.addMute(r, m, who); err != nil {
		return err
	}
	return done(w, r, "/quiet", "mute")
}

// addMute reads the end and the reason, which every mute has.
func (d *Dashboard) addMute(r *http.Request, m store.Mute, who store.Subject) error {
	length, err := time.ParseDuration(r.PostForm.Get("for"))
	if err != nil || length < time.Minute || length > maxQuiet {
		return &notice{http.StatusBadRequest, "A mute lasts from a minute to 30 days."}
	}
	if m.Reason, err = text(r, "reason", maxNote); err != nil {
		return err
	}
	if m.Reason == "" {
		return &notice{http.StatusBadRequest, "A mute needs a reason, for whoever reads the audit log."}
	}
	m.From, m.Until, m.By = d.Now(), d.Now().Add(length), who.Name
	_, err = d.Store.AddMute(r.Context(), m, who)
	return err
}

func (d *Dashboard) postEndMute(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := d.Store.EndMute(r.Context(), id, who); err != nil {
		return err
	}
	return done(w, r, "/quiet", "unmute")
}

func (d *Dashboard) postRule(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	var rule store.IgnoreRule
	for _, f := range []struct {
		name string
		into *string
	}{{"image", &rule.Image}, {"parent", &rule.Parent}, {"argv", &rule.Argv}, {"decoy", &rule.Decoy}} {
		value, err := text(r, f.name, maxField)
		if err != nil {
			return err
		}
		*f.into = value
	}
	if rule == (store.IgnoreRule{}) {
		return &notice{http.StatusBadRequest, "A rule needs an image, a parent, arguments or a decoy."}
	}
	reason, err := text(r, "reason", maxNote)
	if err != nil {
		return err
	}
	if reason == "" {
		return &notice{http.StatusBadRequest, "A rule needs a reason, for whoever reads the audit log."}
	}
	if text := r.PostForm.Get("for"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil || length < time.Minute {
			return &notice{http.StatusBadRequest, "The time is not one of those offered."}
		}
		rule.Until = d.Now().Add(length)
	}
	rule.Reason, rule.By = reason, who.Name
	if _, err := d.Store.AddIgnoreRule(r.Context(), rule, who); err != nil {
		return err
	}
	return done(w, r, "/quiet", "rule")
}

func (d *Dashboard) postRemoveRule(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := d.Store.RemoveIgnoreRule(r.Context(), id, who); err != nil {
		return err
	}
	return done(w, r, "/quiet", "unrule")
}

func (d *Dashboard) postRevoke(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	build := r.PathValue("build")
	if alert.CheckName(build) != nil {
		return store.ErrNotFound
	}
	if err := d.Store.Revoke(r.Context(), build, r.PostForm.Get("revoked") == "yes", who); err != nil {
		return err
	}
	return done(w, r, "/canaries", "revoke")
}
