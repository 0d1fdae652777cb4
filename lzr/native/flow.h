/* What a flow can be: rows.FlowState, rows.Expected and rows.Reason. layout.c shows Python the numbers. */
#ifndef LZR_FLOW_H
#define LZR_FLOW_H

enum state { FREE, DELAYED, SYN_SENT, DATA_SENT, ACKED, SETTLING, FIREWALL_CHECK, STATES };
enum expected { AWAITED_NOTHING, AWAITED_SYN_ACK, AWAITED_ACK, AWAITED_DATA };
enum reason {
    BY_DATA, BY_SILENCE, BY_RST, BY_FIN, BY_ZERO_WINDOW, BY_NO_SYN_ACK, BY_FIREWALL, BY_DUPLICATE, BY_SEND_REFUSED,
    BY_BLOCK, BY_SYN_ACK, REASONS
};

/* rows.Number: which sequence number a frame carries */
enum number { FROM_UNA, FROM_ISN, FROM_NXT, FROM_ACK, FROM_CLOSE, NUMBERS_THERE_ARE };
/* rows.FirstStep: what becomes of a target */
enum first_step { READY, STEP_ZERO_WINDOW, OURS, DUPLICATE, FIRST_STEPS };

#endif
