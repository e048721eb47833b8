package alert

import (
	"crypto/rand"
	"time"
)

// KindDrill marks an alarm that was made to try the way it takes. It comes
// from whoever holds the master secret, not from an image.
const KindDrill = "drill"

// Drill returns an alarm of a decoy that nobody executed. Like any other, it
// verifies; a collector records it as the decoy's last drill.
func (m Master) Drill(build, decoy string, now time.Time) []byte {
	e := Event{Build: build, Decoy: decoy, Kind: KindDrill, Time: now.UnixMicro()}
	_, _ = rand.Read(e.Nonce[:]) // never fails, crypto/rand
	return m.Key(build, decoy).Seal(e, 0)
}
