// SPDX-License-Identifier: Apache-2.0

package lease

import "testing"

func TestOnlyFactsAgreedOnByTheRedisNodesAreADeath(t *testing.T) {
	nowhere, nowhereElse := Census{Asked: 3, Answered: 2}, Census{}
	for name, tc := range map[string]struct {
		evidence Evidence
		dead     bool
	}{
		"nothing is known":                                  {Evidence{}, false},
		"silent, though its connection ended":               {Evidence{Ended: true, Answer: Silent, Census: nowhere}, false},
		"refused and listed nowhere":                        {Evidence{Ended: true, Answer: Refused, Census: nowhere}, true},
		"refused, and there is no Redis":                    {Evidence{Ended: true, Answer: Refused, Census: nowhereElse}, true},
		"refused, never having been connected":              {Evidence{Answer: Refused, Census: nowhere}, false},
		"refused, and one Redis still lists it":             {Evidence{Ended: true, Answer: Refused, Census: Census{Asked: 3, Answered: 2, Listing: 1}}, false},
		"refused, and no Redis answers":                     {Evidence{Ended: true, Answer: Refused, Census: Census{Asked: 3}}, false},
		"another process answers, and it is listed nowhere": {Evidence{Ended: true, Answer: Other, Census: nowhere}, true},
		"another process answers, and one Redis lists it":   {Evidence{Ended: true, Answer: Other, Census: Census{Asked: 1, Answered: 1, Listing: 1}}, false},
		"it answers again":                                  {Evidence{Ended: true, Answer: Alive, Census: nowhere}, false},
		"its pod is gone, and it is listed nowhere":         {Evidence{PodGone: true, Census: nowhere}, true},
		"its pod is gone, and one Redis still lists it":     {Evidence{PodGone: true, Census: Census{Asked: 2, Answered: 2, Listing: 1}}, false},
		"its pod is gone, and no Redis answers":             {Evidence{PodGone: true, Census: Census{Asked: 2}}, false},
		"its pod is said to be gone, and it answers":        {Evidence{PodGone: true, Answer: Alive, Census: nowhere}, false},
	} {
		if got := tc.evidence.Dead(); got != tc.dead {
			t.Errorf("%s: dead %t, want %t", name, got, tc.dead)
		}
	}
}

func TestAnIdentityTellsWhereItsProcessIs(t *testing.T) {
	for identity, want := range map[string][2]string{
		"operator-0_10.1.2.3:8082_0f8a":  {"operator-0", "10.1.2.3:8082"},
		"operator-0_[fd00::7]:8082_0f8a": {"operator-0", "[fd00::7]:8082"},
		"operator-0_0f8a":                {"operator-0", ""}, // without a Beacon
		"":                               {"", ""},
	} {
		if got := [2]string{Host(identity), Address(identity)}; got != want {
			t.Errorf("%q is read as %q", identity, got)
		}
	}
	for _, address := range []string{"", "10.1.2.3:8082"} {
		if identity := Prefix(
			"operator-0", address,
		) + "0f8a"; Address(identity) != address ||
			Host(identity) != "operator-0" {
			t.Errorf("%q is at %q on %q, want %q", identity, Address(identity), Host(identity), address)
		}
	}
}
