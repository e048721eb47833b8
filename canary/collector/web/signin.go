package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

type signInPage struct {
	Token, OIDC bool
	Name        string // of the OIDC provider
	Next        string
	CSRF        string
	Problem     string
}

func (d *Dashboard) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Live") != "" { // the page's own script: it reloads, and then asks
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, "/signin?next="+url.QueryEscape(local(r.URL.RequestURI())), http.StatusSeeOther)
}

func (d *Dashboard) getSignIn(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.session(w, r, false); ok {
		http.Redirect(w, r, local(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	d.signInForm(w, r, http.StatusOK, "")
}

// signInForm shows the form. Its token is also in a cookie: another site can
// send the form, but not both.
func (d *Dashboard) signInForm(w http.ResponseWriter, r *http.Request, status int, problem string) {
	pre := d.cookie(r, preCookie)
	if pre == "" {
		pre = random()
		d.setCookie(w, preCookie, pre, time.Hour)
	}
	page := signInPage{Token: d.AdminHash != "", OIDC: d.provider != nil, Next: local(r.FormValue("next")), CSRF: pre, Problem: problem}
	if d.provider != nil {
		page.Name = d.provider.Name
	}
	d.write(w, status, "signin", &view{Title: "Sign in", Now: d.Now().UTC(), Version: d.Version, Data: page})
}

func (d *Dashboard) postSignIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		d.fail(w, http.StatusBadRequest, "The form did not arrive whole.")
		return
	}
	if d.AdminHash == "" {
		d.fail(w, http.StatusNotFound, "There is no sign-in with a token here.")
		return
	}
	if !equal(d.cookie(r, preCookie), r.PostForm.Get("csrf")) {
		d.signInForm(w, r, http.StatusForbidden, "The form was out of date. Please try again.")
		return
	}
	if wait := d.attempts.wait(d.source(r), d.Now()); wait > 0 {
		w.Header().Set("Retry-After", "30")
		d.signInForm(w, r, http.StatusTooManyRequests, "Too many attempts. Wait half a minute.")
		return
	}
	if !equal(d.AdminHash, HashToken(r.PostForm.Get("token"))) {
		d.attempts.failed(d.source(r), d.Now())
		d.Log.Warn("sign-in refused", "source", d.source(r))
		d.signInForm(w, r, http.StatusUnauthorized, "That token is not the right one.")
		return
	}
	if err := d.signIn(w, r, store.Subject{Name: "admin", Role: store.Responder}, "token"); err != nil {
		d.report(w, r, err)
		return
	}
	http.Redirect(w, r, local(r.PostForm.Get("next")), http.StatusSeeOther)
}

const (
	freeAttempts = 5
	oneEvery     = 30 * time.Second
	maxSources   = 10_000
	maxFailures  = 100 // a minute, of all sources
)

// attempts counts failed sign-ins by source. Each address (IPv6: each /64) has
// five, and gets one back every half minute.
type attempts struct {
	mu      sync.Mutex
	sources map[netip.Prefix]failure
	all     failure
}

type failure struct {
	count float64
	last  time.Time
}

func newAttempts() *attempts { return &attempts{sources: map[netip.Prefix]failure{}} }

func (f failure) now(now time.Time, every time.Duration) float64 {
	return max(0, f.count-now.Sub(f.last).Seconds()/every.Seconds())
}

func prefix(source string) netip.Prefix {
	address, err := netip.ParseAddrPort(source)
	ip := address.Addr()
	if err != nil {
		if ip, err = netip.ParseAddr(source); err != nil {
			return netip.Prefix{}
		}
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return netip.PrefixFrom(ip, 32)
	}
	p, _ := ip.Prefix(64)
	return p
}

// wait says how long a source has to wait; 0: it may try.
func (a *attempts) wait(source string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sources[prefix(source)].now(now, oneEvery) > freeAttempts-1 || a.all.now(now, time.Minute/maxFailures) > maxFailures-1 {
		return oneEvery
	}
	return 0
}

func (a *attempts) failed(source string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := prefix(source)
	if len(a.sources) >= maxSources {
		for old, f := range a.sources {
			if f.now(now, oneEvery) == 0 {
				delete(a.sources, old)
			}
		}
	}
	if _, known := a.sources[p]; known || len(a.sources) < maxSources {
		a.sources[p] = failure{a.sources[p].now(now, oneEvery) + 1, now}
	}
	a.all = failure{a.all.now(now, time.Minute/maxFailures) + 1, now}
}
