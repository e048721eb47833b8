package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	rotateAfter = 30 * time.Minute // a session gets another cookie
	grace       = 30 * time.Second // requests on the way still have the old one

	tokenPrefix = "hardstand-admin-"
)

// NewToken returns a token for the local sign-in and what to keep of it.
func NewToken() (token, hash string) {
	token = tokenPrefix + random()
	return token, HashToken(token)
}

// HashToken returns what a configuration holds: "sha256:" and the digest. A
// plain digest is enough, because a token is 256 random bits.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte("hardstand admin token\x00" + token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

var plainHash = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// random is 256 bits in base64url.
func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// cookieName has the prefix that browsers only accept from this very host over
// HTTPS; over plain HTTP on loopback there is none.
func (d *Dashboard) cookieName(name string) string {
	if d.secure {
		return "__Host-" + name
	}
	return name
}

func (d *Dashboard) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: d.cookieName(name), Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteLaxMode,
	})
}

func (d *Dashboard) dropCookie(w http.ResponseWriter, name string) {
	d.setCookie(w, name, "", -time.Second)
}

func (d *Dashboard) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(d.cookieName(name))
	if err != nil || len(c.Value) > 1024 {
		return ""
	}
	return c.Value
}

const sessionCookie, preCookie = "hardstand", "hardstand-signin"

// identity is what the store knows a cookie by: reading the store does not
// give anybody a session.
func identity(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// session finds the session of a request. With rotate, an old cookie is
// replaced.
func (d *Dashboard) session(w http.ResponseWriter, r *http.Request, rotate bool) (store.Session, bool) {
	value := d.cookie(r, sessionCookie)
	if value == "" {
		return store.Session{}, false
	}
	now := d.Now()
	s, err := d.Store.GetSession(r.Context(), identity(value), now)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			d.Log.Error("read session", "error", err)
		}
		return store.Session{}, false
	}
	if rotate && now.Sub(s.Created) > rotateAfter && s.Expires.Sub(now) > grace {
		next, err := d.issue(w, r, s.Subject, s.CSRF, s.Expires)
		if err != nil {
			d.Log.Error("rotate session", "error", err)
			return s, true
		}
		old := s
		old.Expires = now.Add(grace)
		if err := d.Store.PutSession(r.Context(), old); err != nil {
			d.Log.Error("rotate session", "error", err)
		}
		return next, true
	}
	return s, true
}

func (d *Dashboard) issue(w http.ResponseWriter, r *http.Request, subject store.Subject, csrf string, expires time.Time) (store.Session, error) {
	value := random()
	s := store.Session{ID: identity(value), Subject: subject, CSRF: csrf, Created: d.Now(), Expires: expires}
	if err := d.Store.PutSession(r.Context(), s); err != nil {
		return s, err
	}
	d.setCookie(w, sessionCookie, value, expires.Sub(d.Now()))
	return s, nil
}

// signIn starts a session. A cookie that was there before is worth nothing
// afterwards.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request, subject store.Subject, how string) error {
	if old := d.cookie(r, sessionCookie); old != "" {
		if err := d.Store.DeleteSession(r.Context(), identity(old)); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if _, err := d.issue(w, r, subject, random(), d.Now().Add(d.Lifetime)); err != nil {
		return err
	}
	d.dropCookie(w, preCookie)
	return d.Store.Record(r.Context(), store.AuditEntry{At: d.Now(), By: subject.Name, Action: "sign in", Object: how, Note: "role " + string(subject.Role) + ", from " + d.source(r)})
}

func (d *Dashboard) source(r *http.Request) string {
	if d.Source != nil {
		return d.Source(r)
	}
	return r.RemoteAddr
}

// change is a request that changes something: of somebody signed in with the
// role, and with the session's own token in the form.
func (d *Dashboard) change(role store.Role, post func(http.ResponseWriter, *http.Request, store.Subject) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok := d.session(w, r, false)
		if !ok {
			d.fail(w, http.StatusUnauthorized, "You are no longer signed in. Sign in and try again.")
			return
		}
		if err := r.ParseForm(); err != nil {
			d.fail(w, http.StatusBadRequest, "The form did not arrive whole.")
			return
		}
		if !equal(s.CSRF, r.PostForm.Get("csrf")) {
			d.fail(w, http.StatusForbidden, "The form is out of date. Go back, reload the page and try again.")
			return
		}
		if role == store.Responder && s.Subject.Role != store.Responder {
			d.fail(w, http.StatusForbidden, "Viewers cannot change anything. Ask for the role responder.")
			return
		}
		d.report(w, r, post(w, r, s.Subject))
	}
}

func (d *Dashboard) postSignOut(w http.ResponseWriter, r *http.Request, who store.Subject) error {
	if err := d.Store.DeleteSession(r.Context(), identity(d.cookie(r, sessionCookie))); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.dropCookie(w, sessionCookie)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return d.Store.Record(r.Context(), store.AuditEntry{At: d.Now(), By: who.Name, Action: "sign out", Object: "session"})
}

// local is an address of this site to return to after signing in, or "/".
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") || len(path) > 512 {
		return "/"
	}
	return path
}
