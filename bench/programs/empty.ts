// Node itself: what every command costs that is written for it.
export {};
