/* What a flow can be: transitions.State, rows.Expected and .Reason; kernels.py checks the names of the states. */
#ifndef LZR_FLOW_H
#define LZR_FLOW_H

enum state { FREE, DELAYED, SYN_SENT, DATA_SENT, ACKED, SETTLING, PROBE, STATES };
enum expected { AWAITED_NOTHING, AWAITED_SYN_ACK, AWAITED_ACK, AWAITED_DATA };
enum reason { BY_DATA, BY_SILENCE, BY_RST, BY_FIN, BY_ZERO_WINDOW, BY_NO_SYN_ACK, BY_FIREWALL, BY_DUPLICATE };

#endif
