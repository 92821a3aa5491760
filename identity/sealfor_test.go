package identity

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// TestSealFor: what is sealed opens with the same name and binding only, after a new key
// was put in front of the ring too, and not when its key is gone.
func TestSealFor(t *testing.T) {
	line := func(b byte) string { return fmt.Sprintf("%016x %064x\n", b, b) }
	ring := func(text string) *Keyring {
		k, err := ParseKeyring([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	old, rotated, other := ring(line(1)), ring(line(2)+line(1)), ring(line(2))
	secret, bound := []byte("0123456789abcdef0123456789abcdef"), []byte("bound")
	sealed := old.SealFor("x", secret, bound)
	if bytes.Contains(sealed, secret[:8]) || bytes.Equal(sealed, old.SealFor("x", secret, bound)) {
		t.Error("it is not sealed, or twice the same")
	}
	for _, k := range []*Keyring{old, rotated} {
		if plain, err := k.OpenFor("x", sealed, bound); err != nil || !bytes.Equal(plain, secret) {
			t.Error(err)
		}
	}
	if plain, err := other.OpenFor("x", rotated.SealFor("x", secret, bound), bound); err != nil || !bytes.Equal(plain, secret) {
		t.Errorf("the first key does not seal: %v", err)
	}
	refused := func(what string, k *Keyring, name string, sealed, bound []byte) {
		if _, err := k.OpenFor(name, sealed, bound); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("its key is gone", other, "x", sealed, bound)
	refused("another name", old, "y", sealed, bound)
	refused("another binding", old, "x", sealed, nil)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused(fmt.Sprint("flipped ", i), old, "x", bad, bound)
		refused(fmt.Sprint("cut at ", i), old, "x", sealed[:i], bound)
	}
	refused("a secret of an access key", old, "x", old.seal(secret, "bound"), bound)
}
