package imserver.tutorial;

import com.baomidou.mybatisplus.core.mapper.BaseMapper;
import org.apache.ibatis.annotations.Mapper;

/** The table of chats. */
@Mapper
public interface ChatMapper extends BaseMapper<Chat> {}
